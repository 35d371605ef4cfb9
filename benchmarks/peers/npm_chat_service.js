// The npm package chat-service: rooms `room0`, `room1`, …, users named by the query.
//
//   node --expose-gc npm_chat_service.js '{"port": 1234, "rooms": 1, "redis": null}'
//
// Prints "ready PORT". SIGUSR2 collects garbage.

const http = require("http");
const ChatService = require("chat-service");

const config = JSON.parse(process.argv[2]);

const server = http.createServer().listen(config.port, "127.0.0.1");
const options = {
  historyMaxSize: 10000,
  historyMaxGetMessages: 100,
  // No pings during a measurement, in all servers alike.
  transportOptions: { http: server, ioOptions: { pingInterval: 600000, pingTimeout: 600000 } },
};
if (config.redis) {
  options.state = "redis";
  options.stateOptions = { redisOptions: config.redis };
  options.adapter = "redis";
  options.adapterOptions = config.redis;
}

async function onStart(service) {
  for (let number = 0; number < config.rooms; number++) {
    const name = `room${number}`;
    if (!(await service.hasRoom(name))) await service.addRoom(name, { owner: "admin" });
  }
}

const service = new ChatService(options, {
  onConnect: async (server, id) => server.transport.getHandshakeData(id).query.userName,
  onStart,
});

process.on("SIGUSR2", () => global.gc());
service.on("ready", () => console.log(`ready ${config.port}`));
service.on("closed", (error) => {
  console.error("closed", error);
  process.exit(1);
});
