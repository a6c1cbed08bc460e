//! Real servers for tests, started from what is installed, each in a folder of its own.
//!
//! [`Postgres`] is a PostgreSQL server with passwords and durable commits, [`Kafka`] one broker of
//! Apache Kafka or three, [`Kubernetes`] an API server with its etcd. [`Process`] is any other
//! program with a log and a readiness probe; [`Link`] a wire between two of them that can be cut,
//! [`Tap`] one whose steps are counted, [`Balancer`] what sends callers to replicas that are ready;
//! [`Authority`] gives certificates. All end when they are
//! dropped, unless told to stay. A server that is started again keeps a port that was reserved.
//! Invariants: loopback and Unix sockets only; only processes started here are ever signalled, by
//! their id; every wait has a limit and reports the last status it saw.

mod authority;
mod balancer;
mod kafka;
mod kubernetes;
mod link;
mod ports;
mod postgres;
mod process;
mod replication;
mod tap;
mod wait;

pub use authority::{Authority, Issued, Subject, write_private};
pub use balancer::Balancer;
pub use kafka::{Broker, Front, Kafka, KafkaError, Partition};
pub use kubernetes::{Kubernetes, KubernetesError};
pub use link::{Flow, Link};
pub use ports::reserve_port;
pub use postgres::{Postgres, PostgresError};
pub use process::{Process, http_is_ready};
pub use tap::{Protocol, Tap, Trap};
pub use wait::{Late, wait_for};
