// A chat client in JavaScript: logs in, joins the room `default`, talks and reads the history.
//
//     node example/client.js alice              talk: every line that is typed is sent
//     node example/client.js alice --once       one short conversation, then the end
//
// It connects to a server that was started with `make run`, on the port PORT (8000) of this machine.
// It needs socket.io-client 4: `npm install socket.io-client`, or `make setup` in this repository.
'use strict'

const readline = require('readline')
const { parseArgs } = require('util')
const { io } = require('socket.io-client')

const ROOM = 'default'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: process.env.PORT || '8000' },
    once: { type: 'boolean', default: false }
  }
})
const user = positionals[0] || 'js-user'

const socket = io(`http://127.0.0.1:${options.port}/chat-service`, {
  query: { userName: user },
  // Try again when the connection is lost later, but not when there is no server to begin with.
  reconnection: !options.once
})

// Run a command and return its result.
function call (command, ...args) {
  return new Promise((resolve, reject) => {
    socket.emit(command, ...args, (error, data) => {
      if (error) reject(new Error(error))
      else resolve(data)
    })
  })
}

function fail (error) {
  console.error(`error: ${error.message || error}`)
  process.exitCode = 1
  socket.disconnect()
}

async function readHistory () {
  const messages = await call('roomRecentHistory', ROOM)
  console.log(`* ${messages.length} messages in the history`)
  for (const message of messages.slice(0, 10).reverse()) {
    console.log(`  #${message.id} ${message.author}: ${message.textMessage}`)
  }
}

// Send every line that is typed, until the end of the input.
function talk () {
  console.log('* type a message, or Ctrl+D to leave')
  const input = readline.createInterface({ input: process.stdin })
  // One after another, and all of them before the end.
  let sent = Promise.resolve()
  input.on('line', (line) => {
    const text = line.trim()
    if (text) sent = sent.then(() => call('roomMessage', ROOM, { textMessage: text })).catch(fail)
  })
  input.on('close', () => sent.then(() => socket.disconnect()))
}

let talking = false

async function start () {
  const joined = await call('roomJoin', ROOM)
  console.log(`* joined ${ROOM} with ${joined} of this user's sockets`)
  if (options.once) {
    const id = await call('roomMessage', ROOM, { textMessage: `Hello from ${user} in JavaScript` })
    console.log(`* the message has the id ${id}`)
    await readHistory()
    await call('roomLeave', ROOM)
    socket.disconnect()
  } else if (!talking) {
    // After a lost connection there is a login again, and the room has been joined again: go on.
    talking = true
    await readHistory()
    talk()
  }
}

socket.on('loginConfirmed', (name, authData) => {
  console.log(`* logged in as ${name}, socket ${authData.id}`)
  start().catch(fail)
})
socket.on('loginRejected', fail)
socket.on('connect_error', (error) => {
  if (!socket.active || !talking) fail(error)
})
socket.on('roomMessage', (room, message) => {
  console.log(`${message.author}: ${message.textMessage}  (#${message.id} in ${room})`)
})
socket.on('roomUserJoined', (room, name) => console.log(`* ${name} joined ${room}`))
socket.on('roomUserLeft', (room, name) => console.log(`* ${name} left ${room}`))
socket.on('disconnect', (reason) => console.log(`* disconnected: ${reason}`))
