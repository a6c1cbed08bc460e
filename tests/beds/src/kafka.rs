//! A real Apache Kafka broker: one node that is broker and controller, on loopback. Its own tools
//! reach it plainly; others at an address of their own, where each shows a certificate.
//!
//! It is started by a launcher (`tests/tools` makes one: `python3 tests/tools path kafka`) that runs
//! a main class of Kafka's own jars. A broker acknowledges what the machine's page cache has: a kill
//! loses nothing, the loss of power may.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    authority::{Authority, Subject, write_private},
    ports::reserve_port,
    process::Process,
    wait::{Late, wait_for},
};

/// How long a start may take.
const START_MAX: Duration = Duration::from_mins(2);
/// What the broker writes when it takes requests.
const STARTED: &str = "Kafka Server started";
/// Any id does, once: "paymesh-bed-0001" as Kafka writes ids.
const CLUSTER: &str = "cGF5bWVzaC1iZWQtMDAwMQ";

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

/// Where it listens.
#[derive(Clone, Copy, Default)]
struct Ports {
    plain: u16,
    encrypted: u16,
    controller: u16,
}

impl Ports {
    fn reserve() -> io::Result<Self> {
        Ok(Self {
            plain: reserve_port()?,
            encrypted: reserve_port()?,
            controller: reserve_port()?,
        })
    }

    /// As they were written down.
    fn read(text: &str) -> Option<Self> {
        let mut ports = text.split_whitespace().map(str::parse);
        let mut next = || ports.next()?.ok();
        Some(Self {
            plain: next()?,
            encrypted: next()?,
            controller: next()?,
        })
    }

    fn text(self) -> String {
        let Self {
            plain,
            encrypted,
            controller,
        } = self;
        format!("{plain} {encrypted} {controller}")
    }
}

/// A broker in a folder of its own. It ends when dropped; its folder stays.
pub struct Kafka {
    launcher: PathBuf,
    folder: PathBuf,
    ports: Ports,
    process: Option<Process>,
    /// How much of the log belongs to earlier starts.
    old_log: usize,
}

impl Kafka {
    /// Begins to start a broker on what `folder` holds, or a new one if it holds none. Its
    /// certificate is of `authority`, and so are those that it asks for.
    pub fn start(
        folder: &Path,
        launcher: &Path,
        authority: &Authority,
    ) -> Result<Self, KafkaError> {
        let mut kafka = Self {
            launcher: launcher.to_owned(),
            folder: folder.to_owned(),
            ports: Ports::default(),
            process: None,
            old_log: 0,
        };
        // Written last: a broker that was interrupted before is begun anew.
        let ports = folder.join("ports");
        let known = fs::read_to_string(&ports).ok();
        kafka.file(kafka.certify(authority))?;
        if let Some(known) = known.and_then(|known| Ports::read(&known)) {
            kafka.ports = known;
        } else {
            kafka.format()?;
            kafka.file(fs::write(ports, kafka.ports.text()))?;
        }
        kafka.launch()?;
        Ok(kafka)
    }

    /// Gives the broker a new certificate, and has those of `authority` believed.
    fn certify(&self, authority: &Authority) -> io::Result<()> {
        let issued = authority.issue(Subject {
            hosts: &["127.0.0.1"],
            ..Subject::default()
        })?;
        let own = issued.key + &issued.certificate;
        write_private(&self.folder.join("broker.pem"), &own)?;
        write_private(&self.folder.join("ca.pem"), authority.pem())
    }

    fn format(&mut self) -> Result<(), KafkaError> {
        self.ports = self.file(Ports::reserve())?;
        let Ports {
            plain,
            encrypted,
            controller,
        } = self.ports;
        let data = self.folder.join("data");
        if data.exists() {
            self.file(fs::remove_dir_all(&data))?;
        }
        self.file(fs::create_dir_all(&data))?;
        let (data, folder) = (data.display(), self.folder.display());
        let settings = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{encrypted},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
# A topic is there once somebody asks for it.
auto.create.topics.enable=true
num.partitions=16
# One node: nobody takes over when it ends.
controlled.shutdown.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
# The partitions of a member that was killed go to another soon.
group.consumer.min.session.timeout.ms=3000
group.consumer.session.timeout.ms=3000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
"
        );
        self.file(fs::write(self.settings(), settings))?;
        let file = self.settings();
        let file = file.to_string_lossy();
        let words = ["format", "-t", CLUSTER, "-c", &file];
        self.tool("kafka.tools.StorageTool", &words).map(drop)
    }

    /// Begins to start the broker again after it was killed.
    pub fn launch(&mut self) -> Result<(), KafkaError> {
        self.old_log = self.log().len();
        let mut command = Command::new(&self.launcher);
        command.arg("kafka.Kafka").arg(self.settings());
        let log = self.folder.join("log");
        self.process = Some(self.file(Process::start("kafka", &mut command, &log))?);
        Ok(())
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

    /// Lets it run on when this handle is dropped; gives its process id.
    pub fn leave(mut self) -> Option<u32> {
        self.process.take().map(Process::leave)
    }

    /// The process id of the broker, 0 while it is down.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// Where its tools begin, and clients that show no certificate.
    pub fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where clients begin that show one.
    pub fn encrypted_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.encrypted)
    }

    /// Runs a main class of Kafka's own tools against it; gives what that prints.
    pub fn ask(&self, main: &str, words: &[&str]) -> Result<String, KafkaError> {
        let servers = self.servers();
        let words = [&["--bootstrap-server", servers.as_str()], words].concat();
        self.tool(main, &words)
    }

    /// The keys of a topic's records, in the order in which each partition has them, as Kafka's own
    /// tool reads its files.
    pub fn keys(&self, topic: &str) -> Result<BTreeMap<String, Vec<String>>, KafkaError> {
        let mut files = Vec::new();
        for entry in self.file(fs::read_dir(self.folder.join("data")))? {
            let partition = self.file(entry)?.path();
            let name = partition.file_name().unwrap_or_default();
            let of = name
                .to_string_lossy()
                .rsplit_once('-')
                .map(|(of, _)| of.to_owned());
            if of.as_deref() == Some(topic) {
                files.push(
                    partition
                        .join("00000000000000000000.log")
                        .display()
                        .to_string(),
                );
            }
        }
        let words = ["--print-data-log", "--files", &files.join(",")];
        let shown = self.tool("org.apache.kafka.tools.DumpLogSegments", &words)?;
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut partition = "";
        for line in shown.lines() {
            if let Some(file) = line.strip_prefix("Dumping ") {
                partition = file.rsplit('/').nth(1).unwrap_or_default();
            } else if let Some((_, rest)) = line.split_once(" key: ") {
                let key = rest.split(' ').next().unwrap_or_default();
                keys.entry(partition.to_owned())
                    .or_default()
                    .push(key.to_owned());
            }
        }
        Ok(keys)
    }

    /// Puts lines into a topic, each a record without a key, packed by a codec.
    pub fn put(&self, topic: &str, codec: &str, lines: &str) -> Result<(), KafkaError> {
        let file = self.folder.join("lines");
        self.file(fs::write(&file, lines))?;
        let lines = self.file(fs::File::open(&file))?;
        let servers = self.servers();
        let words = [
            "--bootstrap-server",
            &servers,
            "--topic",
            topic,
            "--compression-codec",
            codec,
        ];
        let main = "org.apache.kafka.tools.ConsoleProducer";
        self.fed(main, &words, lines.into()).map(drop)
    }

    /// Deletes every record of a topic.
    pub fn forget(&self, topic: &str) -> Result<(), KafkaError> {
        let main = "org.apache.kafka.tools.GetOffsetShell";
        let ends = self.ask(main, &["--topic", topic, "--time", "-1"])?;
        let places = ends.lines().filter_map(|line| {
            let (place, offset) = line.rsplit_once(':')?;
            let (_, partition) = place.rsplit_once(':')?;
            Some(format!(
                r#"{{"topic":"{topic}","partition":{partition},"offset":{offset}}}"#
            ))
        });
        let places: Vec<_> = places.collect();
        let file = self.folder.join("forget");
        let text = format!(r#"{{"version":1,"partitions":[{}]}}"#, places.join(","));
        self.file(fs::write(&file, text))?;
        let words = ["--offset-json-file", &file.display().to_string()];
        self.ask("org.apache.kafka.tools.DeleteRecordsCommand", &words)
            .map(drop)
    }

    fn tool(&self, main: &str, words: &[&str]) -> Result<String, KafkaError> {
        self.fed(main, words, Stdio::null())
    }

    fn fed(&self, main: &str, words: &[&str], input: Stdio) -> Result<String, KafkaError> {
        let mut command = Command::new(&self.launcher);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
        let output = self.file(command.arg(main).args(words).stdin(input).output())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(KafkaError::Program {
            main: main.to_owned(),
            output: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn file<T>(&self, result: io::Result<T>) -> Result<T, KafkaError> {
        result.map_err(|reason| KafkaError::File {
            path: self.folder.clone(),
            reason,
        })
    }
}
