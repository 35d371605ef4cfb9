// A room server on socketioxide. It checks nothing and stores nothing: what a Socket.IO server in Rust costs by itself.
// See npm_chat_service.js for the argument.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::signal::unix::{SignalKind, signal};

type LastIds = Arc<Mutex<HashMap<String, u64>>>;

fn user_name(socket: &SocketRef) -> String {
    let query = socket.req_parts().uri.query().unwrap_or("");
    let mut fields = query.split('&').filter_map(|field| field.split_once('='));
    fields.find(|(name, _)| *name == "userName").map(|(_, value)| value.to_string()).unwrap_or_default()
}

async fn join(socket: SocketRef, Data(room): Data<String>, ack: AckSender) {
    socket.join(room);
    ack.send(&(Value::Null, 1)).ok();
}

async fn message(
    socket: SocketRef,
    (room, mut message): (String, Value),
    ack: AckSender,
    user: Arc<str>,
    last_ids: LastIds,
) {
    let id = {
        let mut last_ids = last_ids.lock().unwrap();
        let last = last_ids.entry(room.clone()).or_insert(0);
        *last += 1;
        *last
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    message["id"] = json!(id);
    message["timestamp"] = json!(now);
    message["author"] = json!(&*user);
    socket.within(room.clone()).emit("roomMessage", &(room, message)).await.ok();
    ack.send(&(Value::Null, id)).ok();
}

#[tokio::main]
async fn main() {
    let config: Value = serde_json::from_str(&std::env::args().nth(1).expect("a configuration")).unwrap();
    let port = config["port"].as_u64().expect("a port");
    let last_ids = LastIds::default();

    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(600))
        .ping_timeout(Duration::from_secs(600))
        .max_buffer_size(4096)
        .build_layer();
    io.ns("/chat-service", async move |socket: SocketRef| {
        let user: Arc<str> = user_name(&socket).into();
        let author = user.clone();
        socket.on("roomJoin", join);
        socket.on("roomMessage", async move |socket: SocketRef, Data(data): Data<(String, Value)>, ack: AckSender| {
            message(socket, data, ack, author, last_ids).await
        });
        socket.emit("loginConfirmed", &(&*user, json!({"id": socket.id}))).ok();
    });

    // Rust has no garbage to collect when the benchmark asks for it.
    let mut collect = signal(SignalKind::user_defined2()).unwrap();
    tokio::spawn(async move { while collect.recv().await.is_some() {} });

    let app = axum::Router::new().layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port as u16)).await.unwrap();
    println!("ready {port}");
    axum::serve(listener, app).await.unwrap();
}
