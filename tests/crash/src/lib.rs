//! The crash matrix: runs are cut at every request, and an ordinary run must end them.
//!
//! A fault-free run numbers the requests of a procedure, Terraform's own state traffic included:
//! each is one [`Point`]. Then the procedure is run again until a point is held at one [`Site`] on
//! its way, and one [`Kill`] strikes. What follows is what a user does: `force-unlock` where the
//! kill left a lock, and the same command again; or, one time in ten, `destroy` and
//! `paymesh orphans --delete`. The judge is the simulator's own [`books`]: what exists, what was made
//! and deleted, what was refused, how many requests it took. A point that is not reached and a kill
//! that strikes nobody are red as well.
//!
//! Two tiers share all of this. [`inside`] drives the provider's process over Terraform's protocol,
//! as a small core that replays the golden table of what clients call: exhaustive over points and
//! sites. [`real`] drives a real Terraform: a draw of (point, site, kill) by seed. Of that tier,
//! [`Writes`] is the part that every client passes: SIGKILL at every write, exhaustively.

mod bed;
pub mod books;
pub mod calls;
mod cases;
pub mod core;
mod draw;
mod ending;
pub mod inside;
mod plugin;
mod point;
pub mod real;
mod scenario;
mod state;
mod strike;
mod table;
mod writes;

pub use draw::Draw;
pub use point::Point;
pub use scenario::{Api, Procedure, Scenario};
pub use strike::{Kill, Site};
pub use writes::Writes;
