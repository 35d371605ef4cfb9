// A program that tests steer by lines of JSON: commands come on stdin as {id, op, ...}, answers go to stdout
// as {id, result} or {id, error}. Values that JSON has not: {$binary: base64}, {$undefined: true},
// {$typed: base64} for a typed array.
'use strict'

const readline = require('readline')

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

// Run the operations, functions by name, until the end of the input.
function serve (operations) {
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const { id, op, ...rest } = JSON.parse(line)
    try {
      send({ id, result: await operations[op](rest) })
    } catch (error) {
      send({ id, error: String(error) })
    }
  }).on('close', () => process.exit(0))
}

module.exports = { send, toJson, fromJson, serve }
