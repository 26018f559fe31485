// kafka-node 5.0.0 as a producer, consumer and group member: Produce 0-2, Fetch 0-2, ListOffsets 0. Reads one JSON command
// from standard input and prints one JSON answer; test_old_clients.py compares.
'use strict';
const fs = require('fs');
const path = require('path');
const modules = path.join(__dirname, '..', '..', '..', 'build-node', 'node_modules');
const kafka = require(path.join(modules, 'kafka-node'));

const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const host = { kafkaHost: request.bootstrap, clientId: 'e2e', connectTimeout: 5000, requestTimeout: 10000 };
const client = () => new kafka.KafkaClient({ ...host, ...(request.versions || {}) });

const once = (emitter, event) => new Promise((resolve, reject) => {
  emitter.on('error', reject);
  emitter.once(event, resolve);
});
const call = (object, method, ...args) => new Promise((resolve, reject) =>
  object[method](...args, (error, answer) => (error ? reject(error) : resolve(answer))));

// Reads until count messages have come.
const take = (consumer, count) => new Promise((resolve, reject) => {
  const read = [];
  const timer = setTimeout(() => reject(new Error(`after 20 s: ${read.length} messages`)), 20000);
  consumer.on('error', reject);
  consumer.on('message', (message) => {
    read.push({ offset: message.offset, key: message.key && message.key.toString(), value: message.value,
      timestamp: message.timestamp && new Date(message.timestamp).getTime() });
    if (read.length === count) {
      clearTimeout(timer);
      resolve(read);
    }
  });
});

const commands = {
  async produce({ topic, batches, codec }) {
    const producer = new kafka.Producer(client(), { requireAcks: 1 });
    await once(producer, 'ready');
    const offsets = [];
    for (const messages of batches) {
      const keyed = messages.map(({ key, value }) => (key === null ? value : new kafka.KeyedMessage(key, value)));
      const answer = await call(producer, 'send', [{ topic, messages: keyed, attributes: codec, partition: 0 }]);
      offsets.push(answer[topic]['0']);
    }
    return offsets;
  },
  async consume({ topic, from, count }) {
    const consumer = new kafka.Consumer(client(), [{ topic, partition: 0, offset: from }],
      { fromOffset: true, autoCommit: false, fetchMaxBytes: 4000, encoding: 'utf8', keyEncoding: 'utf8' });
    return take(consumer, count);
  },
  async group({ topic, group, count }) {
    const consumer = new kafka.ConsumerGroup({ ...host, groupId: group, fromOffset: 'earliest', sessionTimeout: 10000,
      autoCommit: false, encoding: 'utf8', keyEncoding: 'utf8' }, [topic]);
    const read = await take(consumer, count);
    await call(consumer, 'close', true);
    return read;
  },
  async offsets({ topic, times, max }) {
    const offset = new kafka.Offset(client());
    await once(offset, 'ready');
    const answers = [];
    for (const time of times)
      answers.push((await call(offset, 'fetch', [{ topic, partition: 0, time, maxNum: max }]))[topic]['0']);
    return answers;
  },
};

commands[request.command](request).then((answer) => {
  fs.writeSync(1, JSON.stringify(answer));
  process.exit(0);
}, (error) => {
  fs.writeSync(2, String(error.stack || error));
  process.exit(1);
});
