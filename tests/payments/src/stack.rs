//! PostgreSQL, the services and the sandbox acquirer, as processes on loopback.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use paymesh_beds::{
    Flow, Link, Postgres, PostgresError, Process, Protocol, Tap, free_port, http_is_ready, wait_for,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// How long everything may take to get ready.
const READY_MAX: Duration = Duration::from_mins(2);

/// A process that can be killed and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// The HTTP API.
    Api,
    /// The one that sends attempts and webhooks.
    Processor,
    /// The one that works in the database.
    Controller,
    /// The sandbox acquirer.
    Acquirer,
    /// The database server.
    Postgres,
}

impl Member {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Api,
        Self::Processor,
        Self::Controller,
        Self::Acquirer,
        Self::Postgres,
    ];

    /// Its program, which also names its log.
    pub fn program(self) -> &'static str {
        match self {
            Self::Api => "paymesh-payment-api",
            Self::Processor => "paymesh-payment-processor",
            Self::Controller => "paymesh-db-controller",
            Self::Acquirer => "paymesh-acquirer",
            Self::Postgres => "postgres",
        }
    }
}

/// What has to stay the same when a process is started again, and what a later process needs to
/// find this stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// The API.
    pub api_url: String,
    /// The merchant's key.
    pub api_key: String,
    /// The database, for its administrator.
    pub database_url: String,
    ports: Ports,
    secrets: Secrets,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ports {
    api: u16,
    processor_health: u16,
    controller: u16,
    controller_health: u16,
    acquirer: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Secrets {
    pepper: String,
    acquirer_token: String,
    controller_password: String,
    migrate_password: String,
}

/// What a stack should be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// A defect to put in, see `PAYMESH_DEFECT`.
    pub defect: Option<&'static str>,
    /// Two standbys of the database, one of which has to have every commit.
    pub standbys: bool,
    /// What lies between the processes.
    pub wires: Wires,
    /// Do not wait for any standby: a defect of the installation.
    pub standby_list_is_empty: bool,
}

/// What lies between the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wires {
    /// Nothing.
    #[default]
    None,
    /// Wires that can be cut and slowed.
    Cuttable,
    /// To the database and between processor and db-controller: wires whose steps are counted.
    Counted,
}

/// A wire between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// From the API to db-controller.
    ApiToController,
    /// From the processor to db-controller.
    ProcessorToController,
    /// From db-controller to the database.
    ControllerToPostgres,
    /// From the processor to the acquirer.
    ProcessorToAcquirer,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ApiToController,
        Self::ProcessorToController,
        Self::ControllerToPostgres,
        Self::ProcessorToAcquirer,
    ];
}

/// The names of the database servers.
const SERVERS: [&str; 3] = ["one", "two", "three"];

/// A database server whose host was lost.
struct Lost {
    folder: PathBuf,
    name: String,
    port: u16,
}

/// A running stack. It ends when dropped.
pub struct Stack {
    folder: PathBuf,
    programs: PathBuf,
    /// Where everything is.
    pub card: Card,
    /// The database server.
    pub postgres: Postgres,
    /// Its standbys.
    pub standbys: Vec<Postgres>,
    processes: HashMap<Member, Process>,
    links: HashMap<Wire, Link>,
    taps: HashMap<Wire, Tap>,
    /// The ports of every database server, and the wires to them if there are any.
    servers: Vec<(u16, Option<Link>)>,
    lost: Option<Lost>,
    wishes: Wishes,
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Stack {
    /// Starts a stack on what `folder` holds, or a new one if it holds none.
    pub fn start(folder: &Path, wishes: Wishes) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let postgres = Postgres::start(&folder.join("postgres")).map_err(io::Error::other)?;
        let programs = programs()?;
        let card = folder.join("card.json");
        let known = fs::read(&card)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let is_new = known.is_none();
        let mut stack = Self {
            folder: folder.to_owned(),
            programs,
            card: match known {
                Some(card) => card,
                None => new_card(&postgres)?,
            },
            postgres,
            standbys: Vec::new(),
            processes: HashMap::new(),
            links: HashMap::new(),
            taps: HashMap::new(),
            servers: Vec::new(),
            lost: None,
            wishes,
        };
        stack.prepare()?;
        if wishes.standbys {
            stack.add_standbys().map_err(io::Error::other)?;
        }
        stack.lay_wires()?;
        let ports = stack.servers.iter().map(|(port, _)| *port).collect();
        stack.card.database_url = on_servers(&stack.card.database_url, ports);
        for member in [Member::Acquirer, Member::Controller] {
            stack.launch(member)?;
        }
        stack.ready(Member::Controller)?;
        if is_new {
            stack.card.api_key = stack.add_merchant("Demo shop", 290)?;
            // Written last: a stack that was interrupted before is begun anew.
            let text = serde_json::to_vec_pretty(&stack.card)?;
            fs::write(folder.join("card.new"), text)?;
            fs::rename(folder.join("card.new"), card)?;
        }
        for member in [Member::Processor, Member::Api] {
            stack.launch(member)?;
        }
        for member in Member::ALL {
            stack.ready(member)?;
        }
        Ok(stack)
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
        Member::ALL
            .into_iter()
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

    /// A wire whose steps are counted; none unless it was wished for.
    pub fn tap(&self, wire: Wire) -> &Tap {
        self.taps.get(&wire).expect("taps were wished for")
    }

    fn lay_wires(&mut self) -> io::Result<()> {
        let is_cuttable = self.wishes.wires == Wires::Cuttable;
        let servers = std::iter::once(&self.postgres).chain(&self.standbys);
        for port in servers.map(Postgres::port) {
            let link = is_cuttable.then(|| Link::to(port)).transpose()?;
            self.servers.push((port, link));
        }
        if self.wishes.wires == Wires::Counted {
            let statements = Protocol::Postgres("insert into payment");
            let to_postgres = Tap::to(self.postgres.port(), statements)?;
            let to_controller = Tap::to(self.card.ports.controller, Protocol::Http2)?;
            self.taps.insert(Wire::ControllerToPostgres, to_postgres);
            self.taps.insert(Wire::ProcessorToController, to_controller);
        }
        if is_cuttable {
            for wire in Wire::ALL {
                if let Some(port) = self.end_of(wire) {
                    self.links.insert(wire, Link::to(port)?);
                }
            }
        }
        Ok(())
    }

    /// How a wire carries from now on, there and back.
    pub fn set_wire(&self, wire: Wire, there: Flow, back: Flow) {
        let to_servers = self.servers.iter().filter_map(|(_, link)| link.as_ref());
        let links: Vec<&Link> = match wire {
            Wire::ControllerToPostgres => to_servers.collect(),
            other => self.links.get(&other).into_iter().collect(),
        };
        for link in links {
            link.set(there, back);
        }
    }

    /// Sends a signal to a service.
    pub fn signal(&self, member: Member, signal: Signal) {
        if let Some(process) = self.processes.get(&member) {
            process.signal(signal);
        }
    }

    /// The port at the far end of a wire, if that is always the same.
    fn end_of(&self, wire: Wire) -> Option<u16> {
        match wire {
            Wire::ApiToController | Wire::ProcessorToController => Some(self.card.ports.controller),
            Wire::ControllerToPostgres => None,
            Wire::ProcessorToAcquirer => Some(self.card.ports.acquirer),
        }
    }

    /// The address of the far end of a wire, over the wire if there is one.
    fn over(&self, wire: Wire) -> String {
        let tap = self.taps.get(&wire).map(Tap::port);
        let link = tap.or_else(|| self.links.get(&wire).map(Link::port));
        let port = link.or_else(|| self.end_of(wire)).unwrap_or_default();
        format!("127.0.0.1:{port}")
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

    /// Starts a killed process again and waits until it is ready.
    pub fn restart(&mut self, member: Member) -> io::Result<()> {
        match member {
            Member::Postgres => self.postgres.run().map_err(io::Error::other)?,
            other => self.launch(other)?,
        }
        self.ready(member)
    }

    /// Lets everything run on; gives the process ids, the last started first.
    pub fn leave(mut self) -> Vec<u32> {
        let order = [
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
        ids.push(self.postgres.leave());
        ids
    }

    /// Roles and schema.
    fn prepare(&self) -> io::Result<()> {
        let secrets = &self.card.secrets;
        let sql = |database: &str, text: &str| {
            self.postgres.sql(database, text).map_err(io::Error::other)
        };
        for (role, password) in [
            ("paymesh_migrate", &secrets.migrate_password),
            ("paymesh_controller", &secrets.controller_password),
        ] {
            sql(
                "postgres",
                &format!(
                    "do $$ begin create role {role} login; exception when duplicate_object then null; end $$;
                     alter role {role} password '{password}'"
                ),
            )?;
        }
        if sql(
            "postgres",
            "select 1 from pg_database where datname = 'payments'",
        )?
        .is_empty()
        {
            sql("postgres", "create database payments owner paymesh_migrate")?;
        }
        sql(
            "payments",
            "revoke create on schema public from public;
             grant create, usage on schema public to paymesh_migrate;
             grant usage on schema public to paymesh_controller",
        )?;
        let output = Command::new(self.programs.join("paymesh-db-migrate"))
            .env_clear()
            .env("PAYMESH_DATABASE_URL", self.migrate_url())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "db-migrate: {}",
            String::from_utf8_lossy(&output.stderr)
        )))
    }

    fn add_standbys(&mut self) -> Result<(), PostgresError> {
        for name in &SERVERS[1..] {
            let port = free_port().map_err(|reason| self.postgres.failed("port", reason))?;
            let standby = self.postgres.standby(&self.folder.join(name), name, port)?;
            self.standbys.push(standby);
        }
        if !self.wishes.standby_list_is_empty {
            for server in std::iter::once(&self.postgres).chain(&self.standbys) {
                server.acknowledge_with(&SERVERS)?;
            }
        }
        Ok(())
    }

    /// Cuts the standbys off: what is committed now is on one server only, if it is committed.
    pub fn cut_standbys_off(&self) -> io::Result<()> {
        for standby in &self.standbys {
            standby.follow(None).map_err(io::Error::other)?;
            standby.wait_until_cut_off().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Loses the host of the primary with all it held; the standby that has more takes over, the
    /// other one follows it.
    pub fn lose_primary(&mut self) -> io::Result<()> {
        self.fail_over().map_err(io::Error::other)
    }

    fn fail_over(&mut self) -> Result<(), PostgresError> {
        // Fenced first: it is gone for good. Then both standbys have to answer.
        self.postgres.lose()?;
        let received = [self.standbys[0].received()?, self.standbys[1].received()?];
        let (chosen, other) = if received[0] >= received[1] {
            (0, 1)
        } else {
            (1, 0)
        };
        self.standbys[chosen].promote()?;
        self.standbys[other].follow(Some(&self.standbys[chosen]))?;
        self.standbys[chosen].wait_for_follower(&self.standbys[other].name)?;
        let primary = self.standbys.remove(chosen);
        let lost = std::mem::replace(&mut self.postgres, primary);
        self.lost = Some(Lost {
            folder: lost.folder().to_owned(),
            name: lost.name.clone(),
            port: lost.port(),
        });
        Ok(())
    }

    /// Puts a new standby in the place of the server that was lost.
    pub fn replace_lost(&mut self) -> io::Result<()> {
        if let Some(lost) = self.lost.take() {
            let standby = self.postgres.standby(&lost.folder, &lost.name, lost.port);
            self.standbys.push(standby.map_err(io::Error::other)?);
        }
        Ok(())
    }

    /// The database as db-controller knows it, without wires.
    pub fn controller_url(&self) -> String {
        let password = &self.card.secrets.controller_password;
        self.postgres
            .url("paymesh_controller", password, "payments")
    }

    /// The database as db-controller reaches it: every server, over wires if there are any.
    fn controller_servers(&self) -> String {
        let ports = self
            .servers
            .iter()
            .map(|(port, link)| link.as_ref().map_or(*port, Link::port));
        let tapped = self.taps.get(&Wire::ControllerToPostgres).map(Tap::port);
        let ports = tapped.map_or_else(|| ports.collect(), |port| vec![port]);
        on_servers(&self.controller_url(), ports)
    }

    /// What decides whether a commit survives, as db-controller's own connections have it.
    pub fn durability(&self) -> io::Result<String> {
        self.postgres
            .durability_for(&self.controller_url())
            .map_err(io::Error::other)
    }

    /// The database as db-migrate knows it.
    pub fn migrate_url(&self) -> String {
        let password = &self.card.secrets.migrate_password;
        self.postgres.url("paymesh_migrate", password, "payments")
    }

    /// The acquirer's address, and what it knows us by: for charges that are not ours.
    pub fn acquirer(&self) -> (String, &str) {
        let address = format!("http://127.0.0.1:{}", self.card.ports.acquirer);
        (address, &self.card.secrets.acquirer_token)
    }

    /// Takes a merchant in; gives their API key.
    pub fn add_merchant(&self, name: &str, fee_basis_points: u32) -> io::Result<String> {
        let fee = fee_basis_points.to_string();
        let said = self.control(&["add-merchant", "--name", name, "--fee-basis-points", &fee])?;
        let made: serde_json::Value = serde_json::from_str(&said)?;
        Ok(made["api_key"].as_str().unwrap_or_default().to_owned())
    }

    /// What a person has db-controller do; gives what it says.
    pub fn control(&self, words: &[&str]) -> io::Result<String> {
        let output = Command::new(self.programs.join("paymesh-db-controller"))
            .args(words)
            .env_clear()
            .env("PAYMESH_DATABASE_URL", self.controller_url())
            .env("PAYMESH_KEY_PEPPER", &self.card.secrets.pepper)
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("db-controller {words:?}: {text}")))
    }

    fn launch(&mut self, member: Member) -> io::Result<()> {
        let program = member.program();
        let (ports, secrets) = (&self.card.ports, &self.card.secrets);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new(self.programs.join(program));
        // Only what it is given: no database credential reaches those who must not have one.
        command.env_clear();
        if let Some(defect) = self.wishes.defect {
            command.env("PAYMESH_DEFECT", defect);
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
                .env("PAYMESH_HEALTH_LISTEN", at(ports.controller_health)),
            Member::Processor => command
                .env(
                    "PAYMESH_CONTROLLER_URL",
                    format!("http://{}", self.over(Wire::ProcessorToController)),
                )
                .env(
                    "PAYMESH_ACQUIRER_URL",
                    format!("http://{}/", self.over(Wire::ProcessorToAcquirer)),
                )
                .env("PAYMESH_ACQUIRER_TOKEN", &secrets.acquirer_token)
                .env("PAYMESH_ACQUIRER_ANSWER_MS_MAX", "3000")
                .env("PAYMESH_PRIVATE_WEBHOOKS", "true")
                .env("PAYMESH_HEALTH_LISTEN", at(ports.processor_health)),
            Member::Api => command
                .env(
                    "PAYMESH_CONTROLLER_URL",
                    format!("http://{}", self.over(Wire::ApiToController)),
                )
                .env("PAYMESH_LISTEN", at(ports.api)),
            Member::Postgres => unreachable!("the bed starts it"),
        };
        let log = self.folder.join(format!("{program}.log"));
        let process = Process::start(program, &mut command, &log)?;
        self.processes.insert(member, process);
        Ok(())
    }

    fn ready(&mut self, member: Member) -> io::Result<()> {
        let port = match member {
            Member::Postgres => return Ok(()),
            Member::Api => self.card.ports.api,
            Member::Processor => self.card.ports.processor_health,
            Member::Controller => self.card.ports.controller_health,
            Member::Acquirer => self.card.ports.acquirer,
        };
        let process = self.processes.get_mut(&member);
        let Some(process) = process else {
            return Err(io::Error::other(format!(
                "{} does not run",
                member.program()
            )));
        };
        wait_for(member.program(), READY_MAX, || {
            if let Some(end) = process.ended() {
                return Err(end);
            }
            http_is_ready(port)
        })
        .map_err(|late| io::Error::other(format!("{late}\n{}", process.log_end())))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for member in [Member::Api, Member::Processor, Member::Controller] {
            if let Some(process) = self.processes.get(&member) {
                process.signal(Signal::KILL);
            }
        }
        self.processes.clear();
    }
}

/// The same address on several servers, of which the one that takes writes is meant.
fn on_servers(url: &str, ports: Vec<u16>) -> String {
    let (start, rest) = url.split_once('@').unwrap_or_default();
    let (_, database) = rest.split_once('/').unwrap_or_default();
    let servers: Vec<String> = ports
        .into_iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!(
        "{start}@{}/{database}?target_session_attrs=read-write",
        servers.join(",")
    )
}

fn new_card(postgres: &Postgres) -> io::Result<Card> {
    let api = free_port()?;
    Ok(Card {
        api_url: format!("http://127.0.0.1:{api}"),
        api_key: String::new(),
        database_url: postgres.administrator_url("payments"),
        ports: Ports {
            api,
            processor_health: free_port()?,
            controller: free_port()?,
            controller_health: free_port()?,
            acquirer: free_port()?,
        },
        secrets: Secrets {
            pepper: random(),
            acquirer_token: random(),
            controller_password: random(),
            migrate_password: random(),
        },
    })
}

/// The folder of the built programs.
fn programs() -> io::Result<PathBuf> {
    let folder = match std::env::var_os("PAYMESH_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe()?
            .ancestors()
            .skip(1)
            .find(|folder| folder.join(Member::Api.program()).is_file())
            .map(Path::to_owned)
            .unwrap_or_default(),
    };
    let missing = [
        Member::Api,
        Member::Processor,
        Member::Controller,
        Member::Acquirer,
    ]
    .into_iter()
    .find(|member| !folder.join(member.program()).is_file());
    match missing {
        None => Ok(folder),
        Some(member) => Err(io::Error::other(format!(
            "{} is not built; run `cargo build --workspace --bins`",
            member.program()
        ))),
    }
}
