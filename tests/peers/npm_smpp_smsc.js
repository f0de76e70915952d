// A message centre on the npm package "smpp", steered by JSON lines: commands on stdin, events on stdout.
//
// in:  {"do":"deliver","text":…,"fields":{…}}   keep a message and deliver it until it is acknowledged with status 0
//      {"do":"statuses","values":[88,0]}         answer the next submit_sm with these, then with 0
//      {"do":"receipts","when":"before"|"after"|"never","spelling":"decimal"|"hex"}
//      {"do":"drop"}                             cut all lines
// out: {"event":"listening","port":…} bind, submit, ack, unbind, enquire, closed
'use strict';
const smpp = require(process.argv[2]);
const readline = require('readline');

const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const sessions = new Set();
const waiting = []; // messages not acknowledged yet
let statuses = [];
let receipts = { when: 'never', spelling: 'hex' };
let ids = 41;

function deliver(session, message) {
  if (!session.receives || message.running === session) return;
  message.running = session;
  const pdu = new smpp.PDU('deliver_sm', message.fields);
  session.send(pdu, (response) => {
    message.running = null;
    say('ack', { name: message.name, status: response.command_status });
    if (response.command_status === 0) waiting.splice(waiting.indexOf(message), 1);
    else setTimeout(() => sessions.has(session) && deliver(session, message), 50);
  });
}

function receipt(session, id, to) {
  const spelled = receipts.spelling === 'decimal' ? String(id) : id.toString(16);
  session.deliver_sm({
    esm_class: 4,
    source_addr: to,
    destination_addr: 'Rasid',
    short_message: `id:${spelled} sub:001 dlvrd:001 submit date:2611212301 done date:2611212302 stat:DELIVRD err:000 text:x`,
  });
}

function bound(session, mode, pdu) {
  const right = pdu.password === 'secret';
  session.send(pdu.response({ command_status: right ? 0 : smpp.ESME_RINVPASWD, system_id: 'npm' }));
  say('bind', { mode, system_id: pdu.system_id, version: pdu.interface_version, right });
  if (!right) return session.close();
  session.receives = mode !== 'transmitter';
  sessions.add(session);
  for (const message of [...waiting]) deliver(session, message);
}

const server = smpp.createServer((session) => {
  for (const mode of ['transceiver', 'transmitter', 'receiver'])
    session.on(`bind_${mode}`, (pdu) => bound(session, mode, pdu));
  session.on('submit_sm', (pdu) => {
    const status = statuses.length ? statuses.shift() : 0;
    const message = pdu.short_message.message;
    const payload = pdu.message_payload && pdu.message_payload.message;
    say('submit', {
      status,
      to: pdu.destination_addr,
      from: pdu.source_addr,
      data_coding: pdu.data_coding,
      registered: pdu.registered_delivery,
      service_type: pdu.service_type,
      op: pdu.ussd_service_op,
      session: pdu.its_session_info && pdu.its_session_info.toString('hex'),
      reference: pdu.user_message_reference,
      udh: pdu.short_message.udh ? pdu.short_message.udh.map((one) => one.toString('hex')) : null,
      sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum] : null,
      text: Buffer.isBuffer(message) ? message.toString('hex') : message,
      payload: Buffer.isBuffer(payload) ? payload.toString('hex') : payload,
    });
    if (status) return session.send(pdu.response({ command_status: status }));
    const id = ++ids;
    if (pdu.registered_delivery && receipts.when === 'before') receipt(session, id, pdu.destination_addr);
    session.send(pdu.response({ message_id: receipts.spelling === 'decimal' ? id.toString(16) : String(id) }));
    if (pdu.registered_delivery && receipts.when === 'after') receipt(session, id, pdu.destination_addr);
  });
  session.on('enquire_link', (pdu) => {
    say('enquire', {});
    session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    say('unbind', {});
    session.send(pdu.response());
    session.close();
  });
  session.on('close', () => {
    sessions.delete(session);
    for (const message of waiting) if (message.running === session) message.running = null;
    say('closed', {});
  });
  session.on('error', () => {});
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (command.do === 'deliver') {
    const message = { name: command.name, fields: command.fields, running: null };
    for (const [name, value] of Object.entries(message.fields))
      if (value && value.hex !== undefined) message.fields[name] = Buffer.from(value.hex, 'hex');
    waiting.push(message);
    const session = [...sessions].find((one) => one.receives);
    if (session) deliver(session, message);
  } else if (command.do === 'statuses') statuses = command.values;
  else if (command.do === 'receipts') receipts = command;
  else if (command.do === 'drop') for (const session of sessions) session.destroy();
  if (command.do !== 'deliver') say('done', { what: command.do });
}).on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => say('listening', { port: server.address().port }));
