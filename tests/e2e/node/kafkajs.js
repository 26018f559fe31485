// kafkajs 2.2.4 as a producer, consumer and administrator. Reads one JSON command from standard input and prints one
// JSON answer; test_kafkajs.py compares.
'use strict';
const fs = require('fs');
const path = require('path');
const modules = path.join(__dirname, '..', '..', '..', 'build-node', 'node_modules');
const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require(path.join(modules, 'kafkajs'));

const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const kafka = new Kafka({
  clientId: 'e2e',
  brokers: [request.bootstrap],
  logLevel: logLevel.ERROR,
  retry: { retries: 3 },
});

async function withClient(client, work) {
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.disconnect();
  }
}

// Members of one group in this process read until all of them together have count messages, then leave.
async function readTogether({ topic, group, count, members = 1, settle = 1 }) {
  const consumers = Array.from({ length: members }, () =>
    kafka.consumer({ groupId: group, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 100 }));
  const read = consumers.map(() => []);
  const assigned = consumers.map(() => []);
  const joined = consumers.map((consumer, i) => new Promise((resolve) =>
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      assigned[i] = payload.memberAssignment[topic] || [];
      resolve();
    })));
  for (const consumer of consumers) {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
  }
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`after 40 s: ${JSON.stringify([read, assigned])}`)), 40000);
    const check = () => {
      const total = read.reduce((sum, messages) => sum + messages.length, 0);
      const settled = assigned.filter((partitions) => partitions.length > 0).length >= settle;
      if (total >= count && settled) {
        clearTimeout(timer);
        resolve();
      }
    };
    consumers.forEach((consumer, i) => {
      consumer.on(consumer.events.GROUP_JOIN, check);
      consumer.run({
        eachMessage: async ({ partition, message }) => {
          read[i].push({ partition, offset: message.offset, value: message.value.toString() });
          check();
        },
      });
    });
  });
  await Promise.all(joined);
  for (const consumer of consumers)
    await consumer.disconnect();
  return { read: read.flat(), assigned };
}

const commands = {
  read: readTogether,

  groups: ({ topic, group }) =>
    withClient(kafka.admin(), async (admin) => {
      const said = (promise) => promise.then((value) => value, (error) => error.type || error.message);
      const answer = {};
      answer.listed = (await admin.listGroups()).groups.filter((one) => one.groupId === group);
      answer.described = (await admin.describeGroups([group])).groups;
      answer.offsets = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '3' }] });
      answer.moved = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      await admin.resetOffsets({ groupId: group, topic, earliest: true });
      answer.reset = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      answer.deleted = await admin.deleteGroups([group]);
      answer.deletedAgain = await said(admin.deleteGroups([group]).catch((error) => {
        throw new Error(error.groups ? error.groups.map((one) => one.error.type).join() : error.message);
      }));
      answer.left = (await admin.listGroups()).groups.filter((one) => one.groupId === group);
      return answer;
    }),

  produce: ({ topic, messages, acks, gzip, idempotent }) =>
    withClient(kafka.producer({ idempotent, maxInFlightRequests: 1, allowAutoTopicCreation: false }), (producer) =>
      producer.send({ topic, messages, acks, compression: gzip ? CompressionTypes.GZIP : CompressionTypes.None })),

  admin: ({ topic }) =>
    withClient(kafka.admin(), async (admin) => {
      const answer = {};
      const topics = [{ topic, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '54321' }] }];
      answer.created = await admin.createTopics({ topics, waitForLeaders: true });
      answer.createdAgain = await admin.createTopics({ topics });
      answer.listed = (await admin.listTopics()).includes(topic);
      answer.metadata = await admin.fetchTopicMetadata({ topics: [topic] });
      answer.cluster = await admin.describeCluster();
      answer.configs = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
      });
      answer.offsets = await admin.fetchTopicOffsets(topic);
      return answer;
    }),

  metadata: ({ topic }) =>
    withClient(kafka.admin(), (admin) => admin.fetchTopicMetadata({ topics: [topic] })),

  // What fails is answered by the error's type.
  refusals: ({ topic, node }) =>
    withClient(kafka.admin(), async (admin) => {
      const said = (promise) => promise.then((value) => value, (error) => error.type || error.message);
      const anyAcl = { resourceType: 1, resourcePatternType: 1, operation: 1, permissionType: 1 };
      const acl = { resourceType: 2, resourceName: topic, resourcePatternType: 3, principal: 'User:bob', host: '*',
        operation: 3, permissionType: 3 };
      const move = (replicas) =>
        admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition: 0, replicas }] }] });
      return {
        described: await said(admin.describeAcls(anyAcl)),
        created: await said(admin.createAcls({ acl: [acl] })),
        deleted: await said(admin.deleteAcls({ filters: [anyAcl] })),
        moved: await said(move([node])),
        movedAway: await said(move([node + 6]).catch((error) => (error.errors || [error]).map((e) => e.type).join())),
        moving: (await admin.listPartitionReassignments({})).topics,
      };
    }),

  addPartitions: ({ topic, count }) =>
    withClient(kafka.admin(), async (admin) => {
      await admin.createPartitions({ topicPartitions: [{ topic, count }] });
      return admin.fetchTopicOffsets(topic);
    }),

  alter: ({ topic, entries }) =>
    withClient(kafka.admin(), async (admin) => {
      const type = ConfigResourceTypes.TOPIC;
      const said = (promise) => promise.then(() => null, (error) => error.type || error.message);
      const refused = await said(
        admin.alterConfigs({ resources: [{ type, name: topic, configEntries: [{ name: 'retention.ms', value: 'x' }] }] }));
      await admin.alterConfigs({ resources: [{ type, name: topic, configEntries: entries }] });
      const { resources } = await admin.describeConfigs({ resources: [{ type, name: topic }] });
      return { refused, entries: resources[0].configEntries };
    }),

  deleteRecords: ({ topic, offset }) =>
    withClient(kafka.admin(), async (admin) => {
      await admin.fetchTopicOffsets(topic); // it deletes only from topics whose metadata it has
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] });
      return admin.fetchTopicOffsets(topic);
    }),

  offsets: ({ topic, timestamp }) =>
    withClient(kafka.admin(), async (admin) => ({
      ends: await admin.fetchTopicOffsets(topic),
      atTime: await admin.fetchTopicOffsetsByTimestamp(topic, timestamp),
    })),

  remove: ({ topic }) =>
    withClient(kafka.admin(), async (admin) => {
      await admin.deleteTopics({ topics: [topic] });
      return { listed: (await admin.listTopics()).includes(topic) };
    }),
};

commands[request.command](request).then(
  (answer) => process.stdout.write(JSON.stringify(answer === undefined ? null : answer)),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
);
