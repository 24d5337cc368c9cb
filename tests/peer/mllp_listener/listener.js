// A RIS that is not ours: node-hl7-server receives and parses; we only print what it understood.
//
// Usage: node listener.js PORT ANSWER
//   ANSWER  AA, AE or AR, for every message
// Each message becomes one line of JSON on standard output: its segments in order, each with its
// name and its fields, as the package unescaped them (it leaves \.br\ as it is).

import net from 'node:net'
import { Server } from 'node-hl7-server'

const [port, answer] = process.argv.slice(2)

// The package hands its bind address over under a name that Node does not read, and would listen
// on every interface.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (options, ...rest) {
  return listen.call(this, { ...options, host: '127.0.0.1' }, ...rest)
}

// A field's repetitions, each a list of components, each a list of subcomponents.
const described = (field) =>
  field.toArray().map((repetition) =>
    repetition.toArray().map((component) => component.toArray().map((part) => part.toString()))
  )

const server = new Server({ bindAddress: '127.0.0.1' })
const inbound = server.createInbound({ port: Number(port) }, async (request, response) => {
  const message = request.getMessage()
  const segments = message.toArray().map((segment) => ({
    name: segment.name,
    fields: segment.toArray().slice(1).map(described)
  }))
  console.log(JSON.stringify(segments))
  await response.sendResponse(answer)
})
inbound.on('listen', () => console.log('"listening"'))
inbound.on('data.error', (error) => console.log(JSON.stringify({ error: String(error) })))
