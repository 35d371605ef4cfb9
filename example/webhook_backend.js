// A back end for webhooks in Node.js, without any package: it decides about logins and messages, and keeps
// an archive of events.
//
//     WEBHOOK_SECRETS="2026-11:$(openssl rand -hex 32)" node example/webhook_backend.js
//
// It listens on the port PORT (8080) of this machine. The chat server gets the same secrets by
// CHAT_WEBHOOK_SECRETS, and the addresses http://127.0.0.1:8080/connect, /refresh, /message and /events.
'use strict'

const { createHmac, timingSafeEqual } = require('crypto')
const http = require('http')

// Seconds that a request may be old or ahead: a longer one may be a copy that somebody sends again.
const WINDOW = 300
// Bytes of a request, and ids of requests and events that are remembered.
const MAX_BODY = 8000000
const MAX_KNOWN = 100000

// "id:secret", separated by spaces. During a rotation there are two.
const secrets = new Map(
  (process.env.WEBHOOK_SECRETS || '').split(' ').filter(Boolean).map((entry) => {
    const at = entry.indexOf(':')
    return [entry.slice(0, at), entry.slice(at + 1)]
  })
)

// Whether one of the known secrets has signed a body just now.
function isGenuine (headers, body) {
  const timestamp = headers['chat-webhook-timestamp'] || ''
  if (!/^\d{1,12}$/.test(timestamp)) return false
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > WINDOW) return false
  return (headers['chat-webhook-signature'] || '').split(', ').some((part) => {
    const at = part.indexOf('=')
    const secret = secrets.get(part.slice(0, at))
    if (!secret) return false
    const expected = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest()
    const given = Buffer.from(part.slice(at + 1), 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

// Remembers the last things that were put in, so that a repeat changes nothing.
class Known {
  constructor () {
    this.values = new Map()
  }

  set (id, value) {
    this.values.set(id, value)
    if (this.values.size > MAX_KNOWN) this.values.delete(this.values.keys().next().value)
  }
}

// What a real back end has in its database.
const sessions = new Map([
  ['token-of-alice', { user: 'alice', seconds: 3600 }],
  ['token-of-bob', { user: 'bob', seconds: 3600 }]
])
const archive = []

const answers = new Known()
const events = new Known()

function loginOf (credentials) {
  return sessions.get(credentials && credentials.token)
}

function expiryOf (session) {
  return Math.floor(Date.now() / 1000) + session.seconds
}

const routes = {
  '/connect' ({ handshake }) {
    const session = loginOf(handshake.auth)
    if (!session) return { reject: { code: 'badToken', text: 'The token is not valid' } }
    return { name: session.user, data: { source: 'node' }, expiresAt: expiryOf(session) }
  },
  '/refresh' ({ user, credentials }) {
    const session = loginOf(credentials)
    if (!session || session.user !== user) return { reject: { code: 'badToken', text: 'The token is not valid' } }
    return { expiresAt: expiryOf(session) }
  },
  '/message' ({ message }) {
    const text = String(message.textMessage)
    if (text.includes('buy now')) return { reject: { code: 'spam', text: 'This looks like spam' } }
    if (text.includes('damn')) return { message: { ...message, textMessage: text.replaceAll('damn', '****') } }
    return {}
  },
  '/events' (request) {
    for (const event of request.events) {
      // An event comes again when the answer to it was lost.
      if (events.values.has(event.id)) continue
      events.set(event.id, true)
      archive.push(event)
      console.log(JSON.stringify(event))
    }
    return {}
  }
}

function answer (response, status, data) {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(data))
}

const server = http.createServer(async (request, response) => {
  const route = request.method === 'POST' && routes[request.url]
  if (!route) return answer(response, 404, {})
  const chunks = []
  let size = 0
  try {
    for await (const chunk of request) {
      size += chunk.length
      if (size > MAX_BODY) return answer(response, 413, {})
      chunks.push(chunk)
    }
  } catch (error) {
    // The chat server has given up.
    return
  }
  const body = Buffer.concat(chunks)
  if (!isGenuine(request.headers, body)) return answer(response, 401, {})
  let call
  try {
    call = JSON.parse(body)
  } catch (error) {
    return answer(response, 400, {})
  }
  // A repeated request gets the answer of the first one.
  if (!answers.values.has(call.id)) answers.set(call.id, route(call))
  answer(response, 200, answers.values.get(call.id))
})

if (!secrets.size) {
  console.error('error: set WEBHOOK_SECRETS, as id:secret')
  process.exit(2)
}
server.listen(Number(process.env.PORT || 8080), '127.0.0.1', () => {
  console.log(`listens at http://127.0.0.1:${server.address().port}/`)
})
process.on('SIGTERM', () => process.exit(0))
