// Many socket.io-client sockets in one process, steered by lines of JSON: commands come on stdin as
// {id, op, ...}, answers go to stdout as {id, result} or {id, error}, what happens at a socket as
// {client, event, args}. Values that JSON has not: {$binary: base64}, {$undefined: true},
// {$typed: base64} for a typed array.
'use strict'

const readline = require('readline')
const { io } = require('socket.io-client')
const msgpackParser = require('socket.io-msgpack-parser')

const sockets = new Map()

function send (line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

function toJson (value) {
  if (value === undefined) return { $undefined: true }
  if (Buffer.isBuffer(value)) return { $binary: value.toString('base64') }
  if (value instanceof ArrayBuffer) return toJson(Buffer.from(value))
  if (ArrayBuffer.isView(value)) return toJson(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  if (Array.isArray(value)) return value.map(toJson)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
  }
  return value
}

function fromJson (value) {
  if (Array.isArray(value)) return value.map(fromJson)
  if (value !== null && typeof value === 'object') {
    if (value.$undefined) return undefined
    if (value.$typed !== undefined) return Uint8Array.from(Buffer.from(value.$typed, 'base64'))
    if (value.$binary !== undefined) return Buffer.from(value.$binary, 'base64')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromJson(item)]))
  }
  return value
}

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

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, op, ...rest } = JSON.parse(line)
  try {
    send({ id, result: await operations[op](rest) })
  } catch (error) {
    send({ id, error: String(error) })
  }
}).on('close', () => process.exit(0))
