//! What answers in the place of a PostgreSQL server, and keeps what it is told.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A listener that gives everybody one answer, to the first thing that they say, and nothing else.
pub struct Fake {
    /// Where it listens.
    pub port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Fake {
    /// Listens; without an answer it is silent for good.
    pub async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let number = {
                    let mut heard = kept.lock().expect("no panic");
                    heard.push(Vec::new());
                    heard.len() - 1
                };
                tokio::spawn(hear(caller, answer, kept.clone(), number));
            }
        });
        Self { port, heard }
    }

    /// What each caller said.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().expect("no panic").clone()
    }
}

async fn hear(
    mut caller: TcpStream,
    answer: &'static [u8],
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    number: usize,
) {
    let mut buffer = [0; 1024];
    let mut is_first = true;
    while let Ok(count @ 1..) = caller.read(&mut buffer).await {
        heard.lock().expect("no panic")[number].extend(&buffer[..count]);
        if is_first && caller.write_all(answer).await.is_err() {
            return;
        }
        is_first = false;
    }
}
