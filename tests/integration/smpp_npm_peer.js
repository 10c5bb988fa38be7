// An SMSC on the npm package "smpp", for tests. Its argument is JSON with its behaviour; its first line says where it
// listens; each line that it reads asks for a report, or is JSON that changes its behaviour.
'use strict';

const smpp = require('smpp');
const fs = require('fs');

let how = JSON.parse(process.argv[2] || '{}');
const report = {binds: 0, submits: 0, taken: 0, throttled: 0, acknowledged: 0, refused: 0, resets: 0, nacks: 0,
  enquired: 0, unbinds: 0, messages: [], at: [], ids: [], most: 0};
let tokens = how.bucket || 10, refilled = Date.now(), next = 5000000, untilReset = resetIn();
const parts = new Map(), waiting = [], sessions = new Set();

function resetIn() {
  return how.reset ? 1 + Math.floor(Math.random() * how.reset * 2) : 0;
}

function allowed() {
  if (!how.rate) return true;
  const now = Date.now();
  tokens = Math.min(how.bucket, tokens + (now - refilled) / 1000 * how.rate);
  refilled = now;
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

function place(pdu) {
  if (pdu.sar_total_segments) return [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum];
  const content = pdu.short_message || {};
  for (const udh of content.udh || []) {
    if (udh[0] === 0x00) return [udh[2], udh[3], udh[4]];
    if (udh[0] === 0x08) return [udh[2] << 8 | udh[3], udh[4], udh[5]];
  }
  return [0, 1, 1];
}

function text(pdu) {
  const content = pdu.message_payload || pdu.short_message;
  return content.message === undefined ? String(content) : content.message;
}

function take(pdu) {
  const [reference, total, number] = place(pdu);
  const key = pdu.source_addr + '|' + pdu.destination_addr + '|' + reference + '|' + total;
  const have = parts.get(key) || {};
  have[number] = text(pdu);
  parts.set(key, have);
  if (Object.keys(have).length === total) {
    parts.delete(key);
    let whole = '';
    for (let n = 1; n <= total; n++) whole += have[n];
    report.messages.push({source: pdu.source_addr, ton: pdu.source_addr_ton, destination: pdu.destination_addr,
      text: whole, segments: total, registered: pdu.registered_delivery, dcs: pdu.data_coding});
  }
}

function receipt(pdu, id) {
  const told = how.receipt_ids === 'decimal' ? String(parseInt(id, 16)) :
    how.receipt_ids === 'hex' ? parseInt(id, 10).toString(16).toUpperCase() : id;
  const word = how.word || 'DELIVRD', form = how.form || 'both';
  const answer = {source_addr: pdu.destination_addr, source_addr_ton: 1, source_addr_npi: 1,
    destination_addr: pdu.source_addr, dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi,
    esm_class: 4, data_coding: 0};
  let body = `id:${told} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:${word} err:000 text:Hello`;
  if (form === 'capitals') {
    body = `ID:${told} SUB:001 DLVRD:001 SUBMIT DATE:261123120000 DONE DATE:261123120100 STAT:${word} ERR:000`;
  }
  if (form === 'tlv' || form === 'both') {
    answer.receipted_message_id = told;
    answer.message_state = word === 'DELIVRD' ? 2 : 5;
  }
  if (how.by === 'data_sm' || form === 'payload') answer.message_payload = Buffer.from(body);
  else answer.short_message = form === 'tlv' ? Buffer.alloc(0) : Buffer.from(body);
  return answer;
}

function deliver(answer) {
  const session = [...sessions].filter((each) => each.receives)[0];
  if (!session) {
    waiting.push(answer);
    return;
  }
  session.open.add(answer);
  session[how.by === 'data_sm' ? 'data_sm' : 'deliver_sm'](Object.assign({}, answer), (resp) => {
    session.open.delete(answer);
    if (resp.command_status) {
      report.refused += 1;
      setTimeout(deliver, 100, answer);
    } else {
      report.acknowledged += 1;
    }
  });
}

function submit(session, pdu) {
  report.submits += 1;
  report.at.push(Date.now() / 1000);
  session.unanswered += 1;
  report.most = Math.max(report.most, session.unanswered);
  const answer = (fields) => {
    session.unanswered -= 1;
    session.send(pdu.response(fields));
  };
  if (how.reset && --untilReset <= 0) {
    untilReset = resetIn();
    report.resets += 1;
    if (how.reset_takes) took(pdu);
    session.socket.resetAndDestroy ? session.socket.resetAndDestroy() : session.socket.destroy();
    return;
  }
  if (!allowed()) {
    report.throttled += 1;
    answer({command_status: smpp.ESME_RTHROTTLED});
    return;
  }
  if (how.status) {
    answer({command_status: how.status});
    return;
  }
  if (how.mute) return;
  const id = took(pdu, how.before ? 0 : undefined);
  if (how.answer_delay) setTimeout(answer, how.answer_delay, {message_id: id});
  else answer({message_id: id});
}

function took(pdu, soon) {
  report.taken += 1;
  next += 1;
  const id = how.ids === 'hex' ? next.toString(16).toUpperCase() : how.ids === 'zeros' ? String(next).padStart(18, '0') :
    String(next);
  report.ids.push(id);
  take(pdu);
  if (pdu.registered_delivery & 1) {
    const answer = receipt(pdu, id);
    for (let copy = 0; copy < (how.copies || 1); copy++) {
      if (soon === 0) deliver(answer);
      else setTimeout(deliver, how.receipt_delay === undefined ? 20 : how.receipt_delay, answer);
    }
  }
  return id;
}

function serve(session) {
  session.unanswered = 0;
  session.open = new Set();
  sessions.add(session);
  if (how.fragment) {
    const write = session.socket.write.bind(session.socket);
    session.socket.setNoDelay(true);
    session.socket.write = (data, done) => {
      for (let at = 0; at < data.length; at += how.fragment) write(data.slice(at, at + how.fragment));
      if (done) setImmediate(done);
      return true;
    };
  }
  const bind = (receives) => (pdu) => {
    if (how.password && (pdu.password !== how.password || pdu.system_id !== how.system_id)) {
      session.send(pdu.response({command_status: smpp.ESME_RBINDFAIL + 1}));
      return;
    }
    report.binds += 1;
    session.receives = receives;
    session.send(pdu.response({system_id: 'npm'}));
    waiting.splice(0).forEach(deliver);
  };
  session.on('bind_transceiver', bind(true));
  session.on('bind_receiver', bind(true));
  session.on('bind_transmitter', bind(false));
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('enquire_link', (pdu) => { report.enquired += 1; session.send(pdu.response()); });
  session.on('unbind', (pdu) => { report.unbinds += 1; session.receives = false; session.send(pdu.response());
    session.close(); });
  session.on('generic_nack', () => { report.nacks += 1; });
  session.on('error', () => {});
  session.on('close', () => {
    session.receives = false;
    sessions.delete(session);
    session.open.forEach((answer) => setTimeout(deliver, 10, answer));
    session.open.clear();
  });
}

const options = how.key ? {key: fs.readFileSync(how.key), cert: fs.readFileSync(how.cert)} : {};
if (how.ca) Object.assign(options, {ca: fs.readFileSync(how.ca), requestCert: true, rejectUnauthorized: true});
const server = smpp.createServer(options, serve);
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({port: server.address().port})));

require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  if (line.trim()) how = Object.assign(how, JSON.parse(line));
  console.log(JSON.stringify(report));
}).on('close', () => process.exit(0));
