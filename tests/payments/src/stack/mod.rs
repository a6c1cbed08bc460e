//! PostgreSQL, the services and the sandbox acquirer, as processes on loopback.

mod audit;
mod brokers;
mod card;
mod certificates;
mod clock;
mod hand;
mod parts;
mod probe;
mod releases;
mod replicas;
mod report;
mod servers;
mod wires;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use paymesh_beds::{
    Authority, Balancer, Front, Kafka, Link, Postgres, Process, Tap, http_is_ready, reserve_port,
    wait_for,
};
use rustix::process::Signal;

pub use audit::Audit;
pub use card::Card;
pub use certificates::identity;
pub use clock::{Forward, MOVED, Moved, move_clock};
pub use parts::{Bus, Member, Pauses, Release, Wire, Wires, Wishes};
use probe::Probe;
use releases::programs;
pub use replicas::Replica;
pub(crate) use servers::SERVERS;
use servers::{Lost, on_servers};

/// How long everything may take to get ready.
const READY_MAX: Duration = Duration::from_mins(2);
/// Who pays at a stack.
pub const MERCHANT: &str = "Demo shop";

/// A running stack. It ends when dropped.
pub struct Stack {
    folder: PathBuf,
    /// Where the programs of the services are.
    programs: PathBuf,
    /// Where everything is.
    pub card: Card,
    /// The database server.
    pub postgres: Postgres,
    /// Its standbys.
    pub standbys: Vec<Postgres>,
    /// The brokers, if messages go over Kafka.
    pub kafka: Option<Kafka>,
    processes: HashMap<Member, Process>,
    links: HashMap<Wire, Link>,
    taps: HashMap<Wire, Tap>,
    balancer: Option<Balancer>,
    /// The ports of every database server, and the wires to them if there are any.
    servers: Vec<(u16, Option<Link>)>,
    lost: Option<Lost>,
    wishes: Wishes,
    /// What the probe is started with, if there is one.
    probe: Option<Probe>,
    /// Whom the services believe.
    pub authority: Authority,
    /// What db-controller is told of the way to the database, from its next start on.
    pub database_options: String,
    /// The files of the certificate and key of the API, from its next start on; without them it
    /// serves HTTP.
    pub api_certificate: Option<(String, String)>,
    /// What the page is told beside or instead, from its next start on.
    pub page_settings: Vec<(&'static str, String)>,
    /// Where the services send spans, from their next start on, if anywhere.
    pub collector_url: Option<String>,
}

impl Stack {
    /// Starts a stack on what `folder` holds, or a new one if it holds none.
    pub fn start(folder: &Path, wishes: Wishes) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let authority = Authority::new("The services of one stack")?;
        let kafka = match wishes.bus {
            Bus::Embedded => None,
            Bus::Kafka => Some(start_kafka(folder, &authority, wishes)?),
        };
        let mut postgres = Postgres::start(&folder.join("postgres")).map_err(io::Error::other)?;
        if let Some(module) = wishes.module {
            postgres.load(module).map_err(io::Error::other)?;
        }
        let programs = programs(wishes.release)?;
        let known = fs::read(folder.join("card.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let is_new = known.is_none();
        let mut card: Card = match known {
            Some(card) => card,
            None => Card::new(&postgres)?,
        };
        if card.complete()? && !is_new {
            card.write(folder)?;
        }
        let mut stack = Self {
            folder: folder.to_owned(),
            programs,
            card,
            postgres,
            standbys: Vec::new(),
            kafka,
            processes: HashMap::new(),
            links: HashMap::new(),
            taps: HashMap::new(),
            balancer: None,
            servers: Vec::new(),
            lost: None,
            wishes,
            probe: None,
            authority,
            database_options: String::new(),
            api_certificate: None,
            page_settings: Vec::new(),
            collector_url: wishes
                .collector_port
                .map(|port| format!("http://127.0.0.1:{port}/v1/traces")),
        };
        stack.certify(&[&stack.authority])?;
        stack.prepare()?;
        if wishes.standbys {
            stack.add_standbys().map_err(io::Error::other)?;
        }
        stack.lay_wires()?;
        let ports = stack.servers.iter().map(|(port, _)| *port).collect();
        stack.card.database_url = on_servers(&stack.card.database_url, ports);
        if let Some(kafka) = &mut stack.kafka {
            kafka.wait().map_err(io::Error::other)?;
        }
        for member in [Member::Acquirer, Member::Controller] {
            stack.launch(member)?;
        }
        stack.ready(Member::Controller)?;
        if is_new {
            stack.card.api_key = stack.add_merchant(MERCHANT, 290)?;
            // Last: a stack that was interrupted before is begun anew.
            stack.card.write(folder)?;
        }
        for member in [Member::Processor, Member::Api] {
            stack.launch(member)?;
        }
        for member in Member::ALL {
            stack.ready(member)?;
        }
        if let Some(every_ms) = wishes.probe_every_ms {
            let api_key = stack.add_merchant("Synthetic probe", 0)?;
            let every_ms = every_ms.to_string();
            let settings = [("PAYMESH_PROBE_EVERY_MS", every_ms.as_str())];
            stack.add_probe(&api_key, &settings)?;
        }
        Ok(stack)
    }

    /// What a service counted, line by line as Prometheus reads it.
    pub async fn metrics(&self, member: Member) -> io::Result<String> {
        let port = self.health(member).ok_or_else(|| {
            let name = member.program();
            io::Error::other(format!("{name} counts nothing"))
        })?;
        let asked = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await;
        let text = async { asked?.error_for_status()?.text().await };
        text.await.map_err(io::Error::other)
    }

    /// The acquirer's books.
    pub fn books(&self) -> PathBuf {
        self.folder.join("books.jsonl")
    }

    /// Where a client may keep its history.
    pub fn history(&self) -> PathBuf {
        self.folder.join("history.jsonl")
    }

    /// Every log there is, one after the other.
    pub fn logs(&self) -> String {
        members()
            .map(|member| match member {
                Member::Postgres => fs::read(self.postgres.log())
                    .map(|log| String::from_utf8_lossy(&log).into_owned())
                    .unwrap_or_default(),
                other => self
                    .processes
                    .get(&other)
                    .map(Process::log)
                    .unwrap_or_default(),
            })
            .collect()
    }

    /// Sends a signal to a service.
    pub fn signal(&self, member: Member, signal: Signal) {
        if let Some(process) = self.processes.get(&member) {
            process.signal(signal);
        }
    }

    /// Kills a process as a crash would.
    pub fn kill(&mut self, member: Member) {
        match member {
            Member::Postgres => self.postgres.kill(),
            other => {
                if let Some(mut process) = self.processes.remove(&other) {
                    process.kill();
                }
            }
        }
    }

    /// Asks a service to end; says whether it did by itself.
    pub fn stop(&mut self, member: Member) -> bool {
        let process = self.processes.remove(&member);
        process.is_some_and(|mut process| process.stop(Signal::TERM))
    }

    /// Starts a killed process again and waits until it is ready.
    pub fn restart(&mut self, member: Member) -> io::Result<()> {
        match member {
            Member::Postgres => self.postgres.run().map_err(io::Error::other)?,
            other => self.launch(other)?,
        }
        self.ready(member)
    }

    /// Starts the page of the merchant, and waits until it is ready.
    pub fn open_page(&mut self) -> io::Result<()> {
        self.restart(Member::Page)
    }

    /// Where the page of the merchant is.
    pub fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.card.ports.page)
    }

    /// Lets everything run on; gives the process ids, the last started first.
    pub fn leave(mut self) -> Vec<u32> {
        let order = [
            Member::Page,
            Member::Api,
            Member::Processor,
            Member::Controller,
            Member::Acquirer,
        ];
        let mut ids: Vec<u32> = order
            .iter()
            .filter_map(|member| self.processes.remove(member))
            .map(Process::leave)
            .collect();
        ids.extend(self.kafka.take().into_iter().flat_map(Kafka::leave));
        ids.push(self.postgres.leave());
        ids
    }

    /// One more processor, with a log of its own. It ends when dropped.
    pub fn add_processor(&self, name: &str) -> io::Result<Process> {
        let (mut process, port) = self.begin_processor(name, &[])?;
        until_ready(name, port, &mut process)?;
        Ok(process)
    }

    /// One more processor with other settings, which may keep it from its work, and the port of its
    /// health.
    pub fn begin_processor(
        &self,
        name: &str,
        settings: &[(&str, &str)],
    ) -> io::Result<(Process, u16)> {
        self.begin(Member::Processor, name, settings)
    }

    /// One more db-controller, which nobody calls.
    pub fn add_controller(&self, name: &str) -> io::Result<Process> {
        let address = format!("127.0.0.1:{}", reserve_port()?);
        let settings = [("PAYMESH_LISTEN", address.as_str())];
        let (mut process, port) = self.begin(Member::Controller, name, &settings)?;
        until_ready(name, port, &mut process)?;
        Ok(process)
    }

    fn begin(
        &self,
        member: Member,
        name: &str,
        settings: &[(&str, &str)],
    ) -> io::Result<(Process, u16)> {
        let mut command = self.command(member)?;
        let port = reserve_port()?;
        command.env("PAYMESH_HEALTH_LISTEN", format!("127.0.0.1:{port}"));
        command.envs(settings.iter().copied());
        let log = self.folder.join(format!("{name}.log"));
        Ok((Process::start(name, &mut command, &log)?, port))
    }

    /// Where db-controller serves gRPC.
    pub fn controller_address(&self) -> String {
        format!("127.0.0.1:{}", self.card.ports.controller)
    }

    fn launch(&mut self, member: Member) -> io::Result<()> {
        let program = member.program();
        let mut command = self.command(member)?;
        let log = self.folder.join(format!("{program}.log"));
        let process = Process::start(program, &mut command, &log)?;
        self.processes.insert(member, process);
        Ok(())
    }

    fn command(&self, member: Member) -> io::Result<Command> {
        let program = member.program();
        let (ports, secrets) = (&self.card.ports, &self.card.secrets);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let folder = match member {
            Member::Acquirer | Member::Probe | Member::Page => programs(Release::This)?,
            _ => self.programs.clone(),
        };
        let mut command = Command::new(folder.join(program));
        // Only what it is given: no database credential reaches those who must not have one.
        command.env_clear();
        if let Some(defect) = self.wishes.defect {
            command.env("PAYMESH_DEFECT", defect);
        }
        if let Some(workers) = self.wishes.workers {
            command.env("TOKIO_WORKER_THREADS", workers.to_string());
        }
        command.envs(self.certificates(member));
        if let (Member::Controller, Some(limit)) = (member, self.wishes.connection_ms_max) {
            command.env("PAYMESH_GRPC_CONNECTION_MS_MAX", limit.to_string());
        }
        if let (Member::Controller, Some(limit)) = (member, self.wishes.waiting_max) {
            command.env("PAYMESH_WAITING_MAX", limit.to_string());
        }
        // Nobody is sent here by what looks whether it is ready, unless that was wished for.
        let drain = self.wishes.drain_ms.unwrap_or_default();
        command.env("PAYMESH_DRAIN_MS", drain.to_string());
        let has_spans = !matches!(member, Member::Acquirer | Member::Probe | Member::Page);
        if let (Some(url), true) = (&self.collector_url, has_spans) {
            command.env("PAYMESH_TRACES_URL", url);
        }
        if let (Member::Api, Some((certificate, key))) = (member, &self.api_certificate) {
            command.env("PAYMESH_HTTP_CERTIFICATE", certificate);
            command.env("PAYMESH_HTTP_KEY", key);
        }
        match member {
            Member::Acquirer => command
                .args(["--listen", &at(ports.acquirer), "--books"])
                .arg(self.books())
                .env("PAYMESH_ACQUIRER_TOKEN", &secrets.acquirer_token),
            Member::Controller => command
                .arg("serve")
                .env("PAYMESH_DATABASE_URL", self.controller_servers())
                .env("PAYMESH_KEY_PEPPER", &secrets.pepper)
                .env("PAYMESH_LISTEN", at(ports.controller))
                .envs(self.pause_ms().map(|pause| ("PAYMESH_BACKLOG_MS", pause)))
                .env("PAYMESH_HEALTH_LISTEN", at(ports.controller_health)),
            Member::Processor => command
                .env(
                    "PAYMESH_CONTROLLER_URL",
                    self.controller(Wire::ProcessorToController),
                )
                .env(
                    "PAYMESH_ACQUIRER_URL",
                    format!("http://{}/", self.over(Wire::ProcessorToAcquirer)),
                )
                .env("PAYMESH_ACQUIRER_TOKEN", &secrets.acquirer_token)
                .env("PAYMESH_ACQUIRER_ANSWER_MS_MAX", "3000")
                .envs(
                    self.pause_ms()
                        .map(|pause| ("PAYMESH_ACQUIRER_NOTICE_MS", pause)),
                )
                .env("PAYMESH_PRIVATE_WEBHOOKS", "true")
                .env("PAYMESH_HEALTH_LISTEN", at(ports.processor_health)),
            Member::Api => command
                .env(
                    "PAYMESH_CONTROLLER_URL",
                    self.controller(Wire::ApiToController),
                )
                .env("PAYMESH_LISTEN", at(ports.api))
                .env("PAYMESH_HEALTH_LISTEN", at(ports.api_health))
                .env(
                    "PAYMESH_REQUESTS_PER_SECOND",
                    self.wishes
                        .requests_per_second
                        .unwrap_or(1_000_000)
                        .to_string(),
                ),
            Member::Probe => {
                let probe = self.probe.as_ref();
                let probe = probe.ok_or_else(|| io::Error::other("no probe was put in"))?;
                command.envs(probe.settings.iter().map(|(name, text)| (name, text)))
            }
            Member::Page => command
                .env("PAYMESH_PAGE_LISTEN", at(ports.page))
                .env("PAYMESH_PAGE_API_URL", &self.card.api_url)
                .env("PAYMESH_HEALTH_LISTEN", at(ports.page_health)),
            Member::Postgres => unreachable!("the bed starts it"),
        };
        if member == Member::Page {
            for (name, value) in &self.page_settings {
                command.env(name, value);
            }
        }
        Ok(command)
    }

    /// How often what is done by the clock is done; `None` is the services' own choice.
    fn pause_ms(&self) -> Option<&'static str> {
        match self.wishes.pauses {
            Pauses::Short => Some("200"),
            Pauses::Usual => None,
            Pauses::Endless => Some("3600000"),
        }
    }

    /// The processes that run, with their ids; PostgreSQL's have children of their own.
    pub fn ids(&self) -> Vec<(String, u32)> {
        let services = members()
            .filter_map(|member| Some((member.program().to_owned(), self.processes.get(&member)?)))
            .map(|(name, process)| (name, process.id()));
        let servers = std::iter::once(&self.postgres).chain(&self.standbys);
        let servers = servers.map(|server| (format!("postgres {}", server.name), server.id()));
        let brokers = self.kafka.iter().flat_map(Kafka::ids);
        let brokers = (1..)
            .zip(brokers)
            .map(|(number, id)| (format!("kafka {number}"), id));
        services.chain(servers).chain(brokers).collect()
    }

    /// What a service has written.
    pub fn log(&self, member: Member) -> String {
        let process = self.processes.get(&member);
        process.map(Process::log).unwrap_or_default()
    }

    /// Whether a service says that it is ready.
    pub fn is_ready(&self, member: Member) -> bool {
        self.health(member)
            .is_some_and(|port| http_is_ready(port).is_ok())
    }

    /// Where a service says whether it is ready.
    fn health(&self, member: Member) -> Option<u16> {
        let ports = &self.card.ports;
        match member {
            Member::Postgres => None,
            Member::Api => Some(ports.api_health),
            Member::Processor => Some(ports.processor_health),
            Member::Controller => Some(ports.controller_health),
            Member::Acquirer => Some(ports.acquirer),
            Member::Probe => self.probe.as_ref().map(|probe| probe.health),
            Member::Page => Some(ports.page_health),
        }
    }

    /// Waits until a service that runs is ready.
    pub fn ready(&mut self, member: Member) -> io::Result<()> {
        let Some(port) = self.health(member) else {
            return Ok(());
        };
        let process = self.processes.get_mut(&member);
        let Some(process) = process else {
            return Err(io::Error::other(format!(
                "{} does not run",
                member.program()
            )));
        };
        until_ready(member.program(), port, process)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for member in [
            Member::Page,
            Member::Api,
            Member::Processor,
            Member::Controller,
        ] {
            if let Some(process) = self.processes.get(&member) {
                process.signal(Signal::KILL);
            }
        }
        self.processes.clear();
    }
}

/// All that may run.
fn members() -> impl Iterator<Item = Member> {
    Member::ALL.into_iter().chain([Member::Probe, Member::Page])
}

/// Waits until a service says that it is ready.
fn until_ready(name: &str, port: u16, process: &mut Process) -> io::Result<()> {
    wait_for(name, READY_MAX, || {
        if let Some(end) = process.ended() {
            return Err(end);
        }
        http_is_ready(port)
    })
    .map_err(|late| io::Error::other(format!("{late}\n{}", process.log_end())))
}

fn start_kafka(folder: &Path, authority: &Authority, wishes: Wishes) -> io::Result<Kafka> {
    let launcher = std::env::var_os("PAYMESH_KAFKA").ok_or_else(|| {
        io::Error::other(
            "PAYMESH_KAFKA is not set; `python3 tests/tools path kafka` prints what to set it to",
        )
    })?;
    let folder = folder.join("kafka");
    fs::create_dir_all(&folder)?;
    let brokers = if wishes.three_brokers { 3 } else { 1 };
    let front = match wishes.wires {
        Wires::Cuttable => Front::Links,
        Wires::Counted => Front::Taps,
        Wires::None | Wires::Plain | Wires::Sealing | Wires::Balanced => Front::Nothing,
    };
    Kafka::start(&folder, Path::new(&launcher), authority, brokers, front).map_err(io::Error::other)
}
