// Clients of clients/js, as it is built and packed, steered as ../e2e/steered.js says. Outcomes are either
// {value} or {error, args}; an error of the client itself has no args.
import { ChatClient, ChatError, LOCAL_ERROR_TEXTS } from '@chat-service/client'
import steered from '../e2e/steered.js'

const { toJson, fromJson, serve } = steered

const people = new Map()

async function outcome (promise) {
  try {
    return { value: toJson(await promise) }
  } catch (error) {
    if (!(error instanceof ChatError)) throw error
    return error.code in LOCAL_ERROR_TEXTS
      ? { error: error.code }
      : { error: error.code, args: error.args.map(toJson) }
  }
}

// What happens in a room, in the order in which it is told.
function record (person, name) {
  if (person.logs.has(name)) return
  const log = []
  let wasJoined = false
  person.logs.set(name, log)
  const room = person.client.room(name)
  room.on('message', ({ id, author, textMessage, parts }) => log.push([id, author, parts ?? textMessage]))
  room.on('gap', ({ from, to }) => log.push(['gap', from, to]))
  room.on('event', ({ author, name, data }) => log.push(['event', author, name, data]))
  room.on('restarted', () => log.push(['restarted']))
  room.on('state', (state) => {
    if (state === 'joined') wasJoined = true
    if (state === 'out' && wasJoined) log.push(['end'])
  })
}

const operations = {
  login ({ who, url, auth, options }) {
    const { timeout, outboxLimit, outboxMaxAge } = options
    const { failing = [], ...given } = auth
    let logins = 0
    const client = new ChatClient(url, {
      auth: () => {
        if (failing.includes(++logins)) throw new Error('there are no credentials now')
        return { ...given, login: logins }
      },
      timeout,
      connectTimeout: timeout,
      reconnectDelay: 20,
      maxReconnectDelay: 50,
      socketOptions: { transports: ['websocket'] },
      ...(outboxLimit && { outboxSize: outboxLimit }),
      ...(outboxMaxAge && { outboxMaxAge: outboxMaxAge * 1000 })
    })
    people.get(who)?.client.close()
    people.set(who, { client, logs: new Map(), sent: new Map() })
    return outcome(client.connect().then((login) => login.userName))
  },
  status ({ who }) {
    const { client } = people.get(who)
    return { online: client.state === 'online', socket: client.login?.id }
  },
  call ({ who, command, args }) {
    return outcome(people.get(who).client.commands[command](...fromJson(args)))
  },
  callAll ({ who, command, args }) {
    return outcome(people.get(who).client.requestAll(command, ...fromJson(args)))
  },
  join ({ who, room, recent }) {
    const person = people.get(who)
    record(person, room)
    return outcome(person.client.room(room).join({ recent }))
  },
  leave ({ who, room }) {
    return outcome(people.get(who).client.room(room).leave())
  },
  send ({ who, room, message, key }) {
    return outcome(people.get(who).client.room(room).send(fromJson(message), key ?? undefined))
  },
  sendEvent ({ who, room, name, data }) {
    return outcome(people.get(who).client.room(room).sendEvent(name, fromJson(data)).then(() => null))
  },
  markRead ({ who, room, upTo }) {
    return outcome(people.get(who).client.room(room).markRead(upTo ?? undefined))
  },
  unread ({ who, room }) {
    return outcome(people.get(who).client.room(room).unread())
  },
  begin ({ who, name, ...given }) {
    people.get(who).sent.set(name, operations.send({ who, ...given }))
  },
  outcome ({ who, name }) {
    return people.get(who).sent.get(name)
  },
  listen ({ who, event }) {
    const { client, logs } = people.get(who)
    const log = []
    logs.set(event, log)
    client.on(event, (...args) => log.push(args))
  },
  log ({ who, name }) {
    return toJson(people.get(who).logs.get(name))
  },
  close ({ who }) {
    people.get(who).client.close()
  },
  reset () {
    for (const { client } of people.values()) client.close()
    people.clear()
  }
}

serve(operations)
