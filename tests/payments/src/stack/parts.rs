//! What a stack is made of, and how it may be wished for.

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
    /// The synthetic probe, which pays as a merchant.
    Probe,
    /// The page of the merchant, in a stack that opened it.
    Page,
}

impl Member {
    /// All that are in every stack.
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
            Self::Probe => "paymesh-probe",
            Self::Page => "paymesh-merchant-page",
        }
    }
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
    /// What carries messages.
    pub bus: Bus,
    /// Three brokers of Kafka instead of one, two of which have to have a record.
    pub three_brokers: bool,
    /// How often what is done by the clock is done.
    pub pauses: Pauses,
    /// How much the API takes of one merchant; more than anybody asks, if nothing is wished.
    pub requests_per_second: Option<u32>,
    /// How many payments wait for the acquirer before db-controller takes new ones in only as others
    /// end; its default, if nothing is wished.
    pub waiting_max: Option<u32>,
    /// How many threads each process works with; as many as there are processors, if nothing is wished.
    pub workers: Option<u8>,
    /// After how long db-controller ends a connection; its default, if nothing is wished.
    pub connection_ms_max: Option<u32>,
    /// Do not wait for any standby: a defect of the installation.
    pub standby_list_is_empty: bool,
    /// The port on loopback where the services send spans, if anywhere.
    pub collector_port: Option<u16>,
    /// An additional module that the primary loads.
    pub module: Option<&'static str>,
    /// Which release the services and the schema are of.
    pub release: Release,
    /// How long a service that is asked to end takes callers in all the same; not at all, if nothing
    /// is wished.
    pub drain_ms: Option<u32>,
    /// The probe, as a merchant who pays no fee, and how long it is from one run to the next; no probe
    /// if nothing is wished.
    pub probe_every_ms: Option<u32>,
}

/// Of which programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// Those that were built.
    #[default]
    This,
    /// Those of the release before, in the folder that `PAYMESH_BEFORE_DIR` names.
    Before,
}

/// How often the acquirer is asked for news of disputes, and the queue counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pauses {
    /// As often as a test can wait for.
    #[default]
    Short,
    /// As often as the services do it by themselves.
    Usual,
    /// Never, so that all they say can be counted.
    Endless,
}

/// What carries messages from db-controller to payment-processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Bus {
    /// The queue in PostgreSQL, streamed over gRPC.
    #[default]
    Embedded,
    /// Apache Kafka, started by the launcher that `PAYMESH_KAFKA` names.
    Kafka,
}

/// What lies between the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wires {
    /// Nothing.
    #[default]
    None,
    /// Nothing, and nothing of it is under TLS.
    Plain,
    /// Wires that can be cut and slowed, also before each broker of Kafka.
    Cuttable,
    /// To the database, between processor and db-controller, and before the broker of Kafka if there
    /// is one: wires whose steps are counted.
    Counted,
    /// To the database: a wire on which the steps of sealing are counted.
    Sealing,
    /// What sends callers of db-controller to one that is ready.
    Balanced,
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
