// The two real clients of ActionHero in one process, steered as ../e2e/steered.js says: its browser client over the
// client library of Primus, as an ActionHero server puts them together, and actionhero-client over TCP. What
// happens at a client goes to stdout as {client, event, args}.
'use strict'

const fs = require('fs')
const path = require('path')
const vm = require('vm')
const ActionheroClient = require('actionhero-client')
const Primus = require('primus')
const { send, toJson, fromJson, serve } = require('../e2e/steered.js')

const browsers = new Map()
const lines = new Map()

// The source is a template of the server, which fills in the defaults of the client.
const Socket = Primus.createSocket({ transformer: 'websockets', parser: 'JSON', pathname: '/primus' })
const template = fs.readFileSync(
  path.join(path.dirname(require.resolve('actionhero/package.json')), 'client/ActionheroWebsocketClient.js'), 'utf8'
)
const source = template.replace('%%URL%%', '').replace('%%DEFAULTS%%', "return { apiPath: '/api', cookieKey: 'sessionID' }")
const page = vm.createContext({ Primus: Socket, console, setTimeout, clearTimeout, require })

function makeBrowser (url, options, cookie) {
  page.document = { cookie: cookie || '' }
  page.given = { url, ...options }
  return vm.runInContext(source + '\n;new ActionheroWebsocketClient(given)', page)
}

function report (client, emitter, names) {
  for (const event of names) {
    emitter.on(event, (...args) => {
      const told = args.map((value) => value instanceof Error ? value.message : value)
      send({ client, event, args: toJson(told) })
    })
  }
}

const operations = {
  // Connect, and return what the client gives to its callback.
  browser ({ client, url, options, cookie }) {
    const browser = makeBrowser(url, options, cookie)
    browsers.set(client, browser)
    report(client, browser, ['say', 'api', 'alert', 'welcome', 'disconnected', 'reconnect', 'error'])
    return new Promise((resolve) => browser.connect((error, details) => resolve(toJson([error, details]))))
  },
  async lines ({ client, port, options }) {
    const line = new ActionheroClient()
    lines.set(client, line)
    report(client, line, ['say', 'welcome', 'error', 'end', 'timeout', 'data'])
    return toJson(await line.connect({ host: '127.0.0.1', port, ...options }))
  },
  // Call a method: with a callback for the answer, or a promise of it.
  async call ({ client, method, args }) {
    const given = fromJson(args)
    const browser = browsers.get(client)
    if (browser) return new Promise((resolve) => browser[method](...given, (answer) => resolve(toJson(answer))))
    const outcome = await lines.get(client)[method](...given)
    // All methods but detailsView measure the time.
    return toJson(outcome.delta === undefined ? outcome : outcome.data)
  },
  // Several calls of {method, args} at once. The answers in the order in which they come, as [index, answer].
  burst ({ client, calls }) {
    const answers = []
    return new Promise((resolve) => {
      calls.forEach(({ method, args }, index) => {
        operations.call({ client, method, args }).then((answer) => {
          answers.push([index, answer])
          if (answers.length === calls.length) resolve(answers)
        })
      })
    })
  },
  // Fields of the client as a program reads them.
  read ({ client, names }) {
    const from = browsers.get(client) || lines.get(client)
    return toJson(names.map((name) => from[name]))
  },
  // What the client library of Primus asks for.
  primusId ({ client }) {
    return new Promise((resolve) => browsers.get(client).client.id(resolve))
  },
  // Lose the connection, as a network does.
  drop ({ client }) {
    browsers.get(client).client.socket.close()
  },
  write ({ client, text }) {
    lines.get(client).connection.write(text)
  },
  async disconnect ({ client }) {
    const browser = browsers.get(client)
    if (browser) browser.disconnect()
    else await lines.get(client).disconnect()
  },
  reset () {
    for (const browser of browsers.values()) {
      browser.removeAllListeners()
      browser.client.removeAllListeners()
      browser.client.end()
    }
    for (const line of lines.values()) {
      line.connected = null
      line.removeAllListeners()
      line.on('error', () => {})
      line.connection.destroy()
    }
    browsers.clear()
    lines.clear()
  }
}

serve(operations)
