//! One node of Kafka, in a folder of its own: broker and controller. It can be killed, made to stand
//! still, cut off from the services and robbed of its records, and started again.

use std::{fs, io, path::PathBuf, time::Duration};

use rustix::process::Signal;

use super::{Front, KafkaError, tools::Tools};
use crate::{
    authority::{Authority, Subject, write_private},
    link::{Flow, Link},
    ports::reserve_port,
    process::Process,
    tap::{Protocol, Tap},
    wait::wait_for,
};

/// How long a start may take.
const START_MAX: Duration = Duration::from_mins(2);
/// What a broker writes when it takes requests.
const STARTED: &str = "Kafka Server started";
/// Any id does, once: "paymesh-bed-0001" as Kafka writes ids.
const CLUSTER: &str = "cGF5bWVzaC1iZWQtMDAwMQ";

/// Where a broker listens.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    /// For tools, and brokers among themselves.
    tools: u16,
    plain: u16,
    encrypted: u16,
    controller: u16,
}

impl Ports {
    pub(super) fn reserve() -> io::Result<Self> {
        Ok(Self {
            tools: reserve_port()?,
            plain: reserve_port()?,
            encrypted: reserve_port()?,
            controller: reserve_port()?,
        })
    }

    /// As they were written down.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut ports = text.split_whitespace().map(str::parse);
        let mut next = || ports.next()?.ok();
        Some(Self {
            tools: next()?,
            plain: next()?,
            encrypted: next()?,
            controller: next()?,
        })
    }

    pub(super) fn text(self) -> String {
        let Self {
            tools,
            plain,
            encrypted,
            controller,
        } = self;
        format!("{tools} {plain} {encrypted} {controller}")
    }

    /// The node as one that votes for the controller that acts.
    pub(super) fn voter(self, number: usize) -> String {
        format!("{number}@127.0.0.1:{}", self.controller)
    }
}

/// A broker. It ends when dropped.
pub struct Broker {
    number: usize,
    tools: Tools,
    ports: Ports,
    link: Option<Link>,
    tap: Option<Tap>,
    process: Option<Process>,
    stands_still: bool,
    /// How much of the log belongs to earlier starts.
    old_log: usize,
}

impl Broker {
    pub(super) fn new(
        number: usize,
        tools: Tools,
        ports: Ports,
        front: Front,
    ) -> Result<Self, KafkaError> {
        let link = (front == Front::Links).then(|| Link::to(ports.encrypted));
        let tap = (front == Front::Taps).then(|| Tap::to(ports.plain, Protocol::Kafka));
        Ok(Self {
            number,
            link: tools.file(link.transpose())?,
            tap: tools.file(tap.transpose())?,
            tools,
            ports,
            process: None,
            stands_still: false,
            old_log: 0,
        })
    }

    /// Writes the settings of one of so many brokers, and gives it a new certificate.
    pub(super) fn configure(
        &self,
        voters: &str,
        brokers: usize,
        authority: &Authority,
    ) -> Result<(), KafkaError> {
        let folder = &self.tools.folder;
        self.tools.file(fs::create_dir_all(folder))?;
        self.tools.file(self.certify(authority))?;
        let settings = self.wording(voters, brokers);
        self.tools.file(fs::write(self.settings(), settings))
    }

    fn certify(&self, authority: &Authority) -> io::Result<()> {
        let issued = authority.issue(Subject {
            hosts: &["127.0.0.1"],
            ..Subject::default()
        })?;
        let own = issued.key + &issued.certificate;
        write_private(&self.tools.folder.join("broker.pem"), &own)?;
        write_private(&self.tools.folder.join("ca.pem"), authority.pem())
    }

    fn wording(&self, voters: &str, brokers: usize) -> String {
        let Ports {
            tools,
            plain,
            encrypted,
            controller,
        } = self.ports;
        let (told_plain, told_encrypted) = (self.plain_port(), self.encrypted_port());
        let (number, folder) = (self.number, self.tools.folder.display());
        // With two of three in sync a record survives the loss of any broker.
        let in_sync = if brokers > 2 { 2 } else { 1 };
        format!(
            "process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{tools},OPEN://127.0.0.1:{plain},SSL://127.0.0.1:{encrypted},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{tools},OPEN://127.0.0.1:{told_plain},SSL://127.0.0.1:{told_encrypted}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OPEN:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
metadata.log.dir={folder}/metadata
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
# A topic is there once somebody asks for it.
auto.create.topics.enable=true
num.partitions=16
default.replication.factor={brokers}
min.insync.replicas={in_sync}
unclean.leader.election.enable=false
offsets.topic.replication.factor={brokers}
offsets.topic.num.partitions={brokers}
transaction.state.log.replication.factor={brokers}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={brokers}
share.coordinator.state.topic.min.isr={in_sync}
# A broker ends at once, whoever else is there to take over.
controlled.shutdown.enable=false
# One that is away is noticed soon, and one that is back leads again soon.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
leader.imbalance.check.interval.seconds=5
# The partitions of a member that was killed go to another soon.
group.consumer.min.session.timeout.ms=3000
group.consumer.session.timeout.ms=3000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
"
        )
    }

    /// Begins to start the broker, after it was killed too, on what it kept.
    pub fn launch(&mut self) -> Result<(), KafkaError> {
        self.format()?;
        self.old_log = self.log().len();
        let mut command = self.tools.command("kafka.Kafka");
        command.arg(self.settings());
        let name = format!("kafka {}", self.number);
        let log = self.tools.folder.join("log");
        self.process = Some(self.tools.file(Process::start(&name, &mut command, &log))?);
        self.stands_still = false;
        Ok(())
    }

    /// Makes the folders that are missing: all of a new broker's, or what was lost.
    fn format(&self) -> Result<(), KafkaError> {
        let folders = ["data", "metadata"].map(|name| self.tools.folder.join(name));
        if folders
            .iter()
            .all(|folder| folder.join("meta.properties").exists())
        {
            return Ok(());
        }
        for folder in &folders {
            self.tools.file(fs::create_dir_all(folder))?;
        }
        let file = self.settings();
        let file = file.to_string_lossy();
        let words = ["format", "-t", CLUSTER, "-c", &file, "--ignore-formatted"];
        self.tools.run("kafka.tools.StorageTool", &words).map(drop)
    }

    /// Waits until it takes requests.
    pub fn wait(&mut self) -> Result<(), KafkaError> {
        wait_for("Kafka", START_MAX, || {
            let Some(process) = &mut self.process else {
                return Err("it was not started".to_owned());
            };
            if let Some(end) = process.ended() {
                return Err(end);
            }
            let log = process.log();
            let is_started = log
                .get(self.old_log..)
                .is_some_and(|new| new.contains(STARTED));
            is_started.then_some(()).ok_or_else(|| process.log_end())
        })?;
        Ok(())
    }

    /// Kills it as a crash would. [`Self::launch`] starts it again.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Kills it and deletes every record that it kept: the loss of a disk. What it knows of the
    /// cluster stays.
    pub fn lose(&mut self) -> Result<(), KafkaError> {
        self.kill();
        self.tools.file(fs::remove_dir_all(self.data()))
    }

    /// Whether somebody who asks it is answered.
    pub(super) fn answers(&self) -> bool {
        self.process.is_some() && !self.stands_still
    }

    /// Sends a signal to it.
    pub fn signal(&mut self, signal: Signal) {
        self.stands_still = signal == Signal::STOP;
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// How the wire that stands before it carries from now on, if there is one: from services, and
    /// back to them. Brokers reach each other past it.
    pub fn set_wire(&self, there: Flow, back: Flow) {
        if let Some(link) = &self.link {
            link.set(there, back);
        }
    }

    pub(super) fn leave(mut self) -> Option<u32> {
        self.process.take().map(Process::leave)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    pub(super) fn tap(&self) -> Option<&Tap> {
        self.tap.as_ref()
    }

    pub(super) fn tool_port(&self) -> u16 {
        self.ports.tools
    }

    pub(super) fn plain_port(&self) -> u16 {
        self.tap.as_ref().map_or(self.ports.plain, Tap::port)
    }

    pub(super) fn encrypted_port(&self) -> u16 {
        self.link.as_ref().map_or(self.ports.encrypted, Link::port)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.tools.folder.join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.tools.folder.join("log")).unwrap_or_default()
    }

    fn settings(&self) -> PathBuf {
        self.tools.folder.join("server.properties")
    }
}
