//! Apache Kafka on loopback: one node, or three that keep each record three times and acknowledge
//! it once two of them have it. Every node is broker and controller: a controller of its own would be
//! one more JVM, and one that no test kills. Its own tools reach it plainly,
//! services at addresses of their own: plainly too, or where each shows a certificate.
//!
//! It is started by a launcher (`tests/tools` makes one: `python3 tests/tools path kafka`) that runs
//! a main class of Kafka's own jars. A broker acknowledges what the machine's page cache has: a kill
//! loses nothing, the loss of power may.

mod asked;
mod broker;
mod tools;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use asked::Partition;
pub use broker::Broker;
use broker::Ports;
use tools::Tools;

use crate::{authority::Authority, tap::Tap, wait::Late};

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A program failed.
    #[error("{main} failed: {output}")]
    Program {
        /// Its main class.
        main: String,
        /// What it wrote.
        output: String,
    },
    /// It did not get ready.
    #[error("Kafka did not get ready")]
    Late(#[from] Late),
    /// The file system failed.
    #[error("Kafka in {path}: {reason}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// What services reach each broker over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Front {
    /// Nothing.
    #[default]
    Nothing,
    /// With certificates, a wire that can be cut.
    Links,
    /// Without certificates, a wire whose steps are counted.
    Taps,
}

/// Brokers in a folder. They end when dropped; the folder stays.
pub struct Kafka {
    tools: Tools,
    brokers: Vec<Broker>,
}

impl Kafka {
    /// Begins to start so many brokers on what `folder` holds, or new ones if it holds none. Their
    /// certificates are of `authority`, and so are those that they ask for.
    pub fn start(
        folder: &Path,
        launcher: &Path,
        authority: &Authority,
        brokers: usize,
        front: Front,
    ) -> Result<Self, KafkaError> {
        let tools = Tools::new(launcher, folder);
        let known = folder.join("brokers");
        let ports = fs::read_to_string(&known).ok();
        let ports: Option<Vec<Ports>> =
            ports.and_then(|text| text.lines().map(Ports::read).collect());
        let ports = match ports.filter(|ports| ports.len() == brokers) {
            Some(ports) => ports,
            None => tools.file(Self::reserve(&known, brokers))?,
        };
        let voters: Vec<String> = (1..)
            .zip(&ports)
            .map(|(number, ports)| ports.voter(number))
            .collect();
        let voters = voters.join(",");
        let mut kafka = Self {
            tools,
            brokers: Vec::new(),
        };
        for (number, ports) in (1..).zip(ports) {
            let folder = folder.join(format!("broker-{number}"));
            let tools = Tools::new(launcher, &folder);
            let broker = Broker::new(number, tools, ports, front)?;
            broker.configure(&voters, brokers, authority)?;
            kafka.brokers.push(broker);
        }
        kafka.launch()?;
        Ok(kafka)
    }

    /// New ports, written down: a broker that is started again keeps its own.
    fn reserve(file: &Path, brokers: usize) -> io::Result<Vec<Ports>> {
        let ports = (0..brokers).map(|_| Ports::reserve());
        let ports: Vec<Ports> = ports.collect::<io::Result<_>>()?;
        let lines: String = ports.iter().map(|ports| ports.text() + "\n").collect();
        fs::write(file, lines)?;
        Ok(ports)
    }

    /// Begins to start every broker that is down.
    pub fn launch(&mut self) -> Result<(), KafkaError> {
        let mut down = self.brokers.iter_mut().filter(|broker| broker.id() == 0);
        down.try_for_each(Broker::launch)
    }

    /// Waits until all take requests.
    pub fn wait(&mut self) -> Result<(), KafkaError> {
        self.brokers.iter_mut().try_for_each(Broker::wait)
    }

    /// Kills all of them as a crash would. [`Self::launch`] starts them again.
    pub fn kill(&mut self) {
        self.brokers.iter_mut().for_each(Broker::kill);
    }

    /// Lets them run on when this handle is dropped; gives their process ids.
    pub fn leave(self) -> Vec<u32> {
        self.brokers.into_iter().filter_map(Broker::leave).collect()
    }

    /// The process id of each broker, 0 while it is down.
    pub fn ids(&self) -> Vec<u32> {
        self.brokers.iter().map(Broker::id).collect()
    }

    /// The broker with this number, the first being 1.
    pub fn broker(&mut self, number: usize) -> &mut Broker {
        &mut self.brokers[number - 1]
    }

    /// The wire to the first broker, whose steps are counted; none unless it was wished for.
    pub fn tap(&self) -> &Tap {
        self.brokers[0].tap().expect("taps were wished for")
    }

    /// Where its tools begin: one that meets a broker which stands still may find no other in its time.
    pub fn servers(&self) -> String {
        let answering = self.brokers.iter().filter(|broker| broker.answers());
        addresses(answering.map(Broker::tool_port))
    }

    /// Where services begin that show no certificate.
    pub fn plain_servers(&self) -> String {
        addresses(self.brokers.iter().map(Broker::plain_port))
    }

    /// Where services begin that show one.
    pub fn encrypted_servers(&self) -> String {
        addresses(self.brokers.iter().map(Broker::encrypted_port))
    }
}

fn addresses(ports: impl Iterator<Item = u16>) -> String {
    let servers: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
    servers.join(",")
}
