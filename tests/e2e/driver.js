// Many socket.io-client sockets in one process, steered as steered.js says. What happens at a socket goes to
// stdout as {client, event, args}.
'use strict'

const { io } = require('socket.io-client')
const msgpackParser = require('socket.io-msgpack-parser')
const { send, toJson, fromJson, serve } = require('./steered.js')

const sockets = new Map()
const stories = new WeakMap()

function watch (client, socket) {
  const report = (event, ...args) => send({ client, event, args: args.map(toJson) })
  socket.onAny(report)
  socket.on('connect', () => report('connect', socket.id))
  socket.on('disconnect', (reason) => report('disconnect', reason))
  socket.on('connect_error', (error) => report('connect_error', error.message, error.data))
}

const operations = {
  connect ({ client, url, options, msgpack }) {
    const parser = msgpack ? { parser: msgpackParser } : {}
    const socket = io(url, { forceNew: true, reconnection: false, ...options, ...parser })
    sockets.set(client, socket)
    watch(client, socket)
  },
  // The values of the ack.
  emit ({ client, event, args }) {
    return new Promise((resolve) => {
      sockets.get(client).emit(event, ...fromJson(args), (...ack) => resolve(ack.map(toJson)))
    })
  },
  // No ack wanted.
  tell ({ client, event, args }) {
    sockets.get(client).emit(event, ...fromJson(args))
  },
  // Many emits in one go; the acks as [index of the emit, ...values], in the order in which they come.
  burst ({ client, emits }) {
    const socket = sockets.get(client)
    const acks = []
    return new Promise((resolve) => {
      emits.forEach(([event, args], index) => {
        socket.emit(event, ...fromJson(args), (...ack) => {
          acks.push([index, ...ack.map(toJson)])
          if (acks.length === emits.length) resolve(acks)
        })
      })
    })
  },
  // As burst, with the events of the socket among the acks: [event, ...args]. Those before the first emit, and
  // between two of these operations, belong to the later one.
  story ({ client, emits }) {
    const socket = sockets.get(client)
    if (!stories.has(socket)) {
      stories.set(socket, [])
      socket.onAny((event, ...args) => stories.get(socket).push([event, ...args.map(toJson)]))
    }
    let left = emits.length
    return new Promise((resolve) => {
      emits.forEach(([event, args], index) => {
        socket.emit(event, ...fromJson(args), (...ack) => {
          stories.get(socket).push([index, ...ack.map(toJson)])
          left -= 1
          if (left === 0) resolve(stories.get(socket).splice(0))
        })
      })
    })
  },
  transport ({ client }) {
    return sockets.get(client).io.engine.transport.name
  },
  // Lose the connection, as a network does.
  drop ({ client }) {
    sockets.get(client).io.engine.close()
  },
  reconnect ({ client }) {
    sockets.get(client).connect()
  },
  disconnect ({ client }) {
    sockets.get(client).disconnect()
  },
  reset () {
    for (const socket of sockets.values()) {
      socket.offAny()
      socket.removeAllListeners()
      socket.disconnect()
      socket.io.reconnection(false)
    }
    sockets.clear()
  }
}

serve(operations)
