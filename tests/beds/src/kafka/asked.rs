//! What Kafka's own tools say of it and do with it.

use std::{collections::BTreeMap, fs};

use super::{Kafka, KafkaError};

/// What decides whether a record survives, beside the number of its replicas.
const DURABILITY: [&str; 2] = ["min.insync.replicas", "unclean.leader.election.enable"];

/// Who has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number of the broker that leads it; none while nobody may.
    pub leader: Option<usize>,
    /// The brokers that have all of it.
    pub in_sync: Vec<usize>,
}

impl Kafka {
    /// Runs a main class of Kafka's own tools against it; gives what that prints.
    pub fn ask(&self, main: &str, words: &[&str]) -> Result<String, KafkaError> {
        let servers = self.servers();
        let words = [&["--bootstrap-server", servers.as_str()], words].concat();
        self.tools.run(main, &words)
    }

    /// Every partition of a topic, in order.
    pub fn partitions(&self, topic: &str) -> Result<Vec<Partition>, KafkaError> {
        let shown = self.describe(topic)?;
        let lines = shown.lines().filter(|line| line.contains("Partition: "));
        let partitions = lines.map(|line| {
            let in_sync = value(line, "Isr: ").split(',');
            Partition {
                leader: value(line, "Leader: ").parse().ok(),
                in_sync: in_sync.filter_map(|number| number.parse().ok()).collect(),
            }
        });
        Ok(partitions.collect())
    }

    /// What decides whether the records of a topic survive, as the brokers have it.
    pub fn durability(&self, topic: &str) -> Result<String, KafkaError> {
        let shown = self.describe(topic)?;
        let replicas = value(&shown, "ReplicationFactor: ");
        let words = [
            "--describe",
            "--all",
            "--entity-type",
            "topics",
            "--entity-name",
            topic,
        ];
        let settings = self.ask("kafka.admin.ConfigCommand", &words)?;
        let mut found = vec![format!("replicas={replicas}")];
        for name in DURABILITY {
            let start = format!("{name}=");
            let mut words = settings.lines().filter_map(|line| {
                let word = line.split_whitespace().next()?;
                word.strip_prefix(start.as_str())
            });
            found.push(format!("{name}={}", words.next().unwrap_or("unknown")));
        }
        Ok(found.join(" "))
    }

    fn describe(&self, topic: &str) -> Result<String, KafkaError> {
        let words = ["--describe", "--topic", topic];
        self.ask("org.apache.kafka.tools.TopicCommand", &words)
    }

    /// How many records the group that is called as its topic has still to get through.
    pub fn lag(&self, topic: &str) -> Result<i64, KafkaError> {
        let main = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let shown = self.ask(main, &["--describe", "--group", topic])?;
        let lines = shown.lines().filter(|line| line.starts_with(topic));
        let lags = lines.map(|line| {
            let mut numbers = line.split_whitespace().skip(3).map(str::parse::<i64>);
            // Nothing was committed of a partition whose records were not begun.
            let committed = numbers.next().and_then(Result::ok).unwrap_or(0);
            let end = numbers.next().and_then(Result::ok).unwrap_or(committed);
            end - committed
        });
        Ok(lags.sum())
    }

    /// The keys of a topic's records, in the order in which each partition has them, as Kafka's own
    /// tool reads the files of the first broker.
    pub fn keys(&self, topic: &str) -> Result<BTreeMap<String, Vec<String>>, KafkaError> {
        self.keys_at(1, topic)
    }

    /// The same of the broker with this number, also while it is down or stands still.
    pub fn keys_at(
        &self,
        number: usize,
        topic: &str,
    ) -> Result<BTreeMap<String, Vec<String>>, KafkaError> {
        let mut files = Vec::new();
        let data = self.brokers[number - 1].data();
        for entry in self.tools.file(fs::read_dir(data))? {
            let partition = self.tools.file(entry)?.path();
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
        let main = "org.apache.kafka.tools.DumpLogSegments";
        let shown = self.tools.run(main, &words)?;
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
        self.tools.run_on(main, &words, lines).map(drop)
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
        let file = self.tools.folder.join("forget");
        let text = format!(r#"{{"version":1,"partitions":[{}]}}"#, places.join(","));
        self.tools.file(fs::write(&file, text))?;
        let words = ["--offset-json-file", &file.display().to_string()];
        self.ask("org.apache.kafka.tools.DeleteRecordsCommand", &words)
            .map(drop)
    }
}

/// The word behind a name.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or_default()
}
