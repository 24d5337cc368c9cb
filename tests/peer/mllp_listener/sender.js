// An information system that is not ours: node-hl7-client builds messages and sends them.
//
// Usage: node sender.js PORT < orders.json
//   orders.json  a list of orders: {id, patient, name, accession, priority, reason, uid}; or of
//                merges: {id, retired, patient, name}
// One connection carries all of them, one after the other. Of each answer one line of JSON is
// printed: MSA-1 and MSA-2, as the package parsed them.

import { readFileSync } from 'node:fs'
import { Client, Message } from 'node-hl7-client'

const wanted = JSON.parse(readFileSync(0, 'utf8'))

const built = (what) => {
  const isMerge = what.retired !== undefined
  const message = new Message({
    messageHeader: {
      msh_9_1: isMerge ? 'ADT' : 'ORM',
      msh_9_2: isMerge ? 'A40' : 'O01',
      msh_9_3: isMerge ? 'ADT_A39' : 'ORM_O01',
      msh_10: what.id,
      msh_11_1: 'P'
    }
  })
  message.set('MSH.3', 'FOREIGN')
  message.set('MSH.18', 'UNICODE UTF-8')
  const patient = message.addSegment('PID')
  patient.set('3.1', what.patient)
  patient.set('5.1', what.name)
  if (isMerge) {
    message.addSegment('MRG').set('1', what.retired)
    return message
  }
  const common = message.addSegment('ORC')
  common.set('1', 'NW')
  common.set('2', what.id)
  const request = message.addSegment('OBR')
  request.set('4.2', 'Chest')
  request.set('18', what.accession)
  request.set('24', 'CR')
  request.set('27.6', what.priority)
  request.set('31.2', what.reason)
  message.addSegment('ZDS').set('1', what.uid)
  return message
}

const client = new Client({ host: '127.0.0.1' })
let answered
const connection = client.createConnection({ port: Number(process.argv[2]) }, async (response) => {
  const answer = response.getMessage()
  console.log(JSON.stringify([answer.get('MSA.1').toString(), answer.get('MSA.2').toString()]))
  answered()
})
for (const what of wanted) {
  const done = new Promise((resolve) => { answered = resolve })
  await connection.sendMessage(built(what))
  await done
}
await connection.close()
