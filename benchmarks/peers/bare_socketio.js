// A room server on bare socket.io 4. It checks nothing and stores nothing: what socket.io costs by itself.
// See npm_chat_service.js for the argument.

const http = require("http");
const { Server } = require("socket.io");

const config = JSON.parse(process.argv[2]);
const server = http.createServer();
const io = new Server(server, { pingInterval: 600000, pingTimeout: 600000 });
const lastIds = new Map();

const namespace = io.of("/chat-service");
namespace.on("connection", (socket) => {
  const { userName } = socket.handshake.query;
  socket.on("roomJoin", (room, ack) => {
    socket.join(room);
    ack(null, 1);
  });
  socket.on("roomMessage", (room, message, ack) => {
    const id = (lastIds.get(room) || 0) + 1;
    lastIds.set(room, id);
    Object.assign(message, { id, timestamp: Date.now(), author: userName });
    namespace.to(room).emit("roomMessage", room, message);
    ack(null, id);
  });
  socket.emit("loginConfirmed", userName, { id: socket.id });
});

process.on("SIGUSR2", () => global.gc());
server.listen(config.port, "127.0.0.1", () => console.log(`ready ${config.port}`));
