//! Ports for servers that keep theirs over restarts.

use std::{
    env,
    fs::{self, File, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Below the ports that Linux (from 32768) and macOS (from 49152) give to connections and to
/// servers that take any: while a server is down, nobody is given its port by chance.
const PORTS: Range<u16> = 20_000..32_000;

/// The locks of the ports of this process, which end with it.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port on loopback that no other test is given as long as this process runs.
pub fn reserve_port() -> io::Result<u16> {
    let user = rustix::process::getuid().as_raw();
    let folder = env::temp_dir().join(format!("paymesh-ports-{user}"));
    fs::create_dir_all(&folder)?;
    let first = rand::random_range(PORTS);
    for port in (first..PORTS.end).chain(PORTS.start..first) {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(port.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(reason)) => return Err(reason),
        }
        // A stack that was left running has its ports, but no process that reserves them.
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(lock);
            return Ok(port);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("every port from {} to {} is taken", PORTS.start, PORTS.end),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_given_once_though_nobody_listens_and_never_one_that_connections_are_given() {
        let ports: Vec<u16> = (0..200).map(|_| reserve_port().unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| PORTS.contains(port)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!PORTS.contains(&listener.local_addr().unwrap().port()));
    }
}
