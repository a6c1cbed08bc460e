//! One file per RPC, or per few that belong together.

pub(super) mod apply;
pub(super) mod configure;
pub(super) mod data;
pub(super) mod ephemeral;
pub(super) mod functions;
pub(super) mod identity;
pub(super) mod import;
pub(super) mod moved;
pub(super) mod plan;
pub(super) mod read;
pub(super) mod schema;
pub(super) mod unsupported;
pub(super) mod upgrade;
pub(super) mod validate;
