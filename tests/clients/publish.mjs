// MQTT.js, driven by one JSON object on standard input:
//   {"url", "username", "password", "protocolVersion", "qos", "topic", "messages": [text…]}
// Prints {"acknowledged": n} or {"error": text, "code": n}.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const { url, topic, qos, messages, ...options } = JSON.parse(readFileSync(0, "utf8"));
try {
  const client = await mqtt.connectAsync(url, { ...options, reconnectPeriod: 0, connectTimeout: 15000 });
  const acks = await Promise.all(messages.map((message) => client.publishAsync(topic, message, { qos })));
  await client.endAsync();
  console.log(JSON.stringify({ acknowledged: acks.length }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, code: error.code ?? null }));
}
process.exit(0);
