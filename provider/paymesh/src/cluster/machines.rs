//! The table of machine types from which a pool sized by vCPU and memory takes its machine.
//!
//! The smallest machine that has at least both is chosen, in the order of the table. Entries are
//! only ever added behind those of the same size: a choice is kept once it is made, and a new
//! configuration must choose what the same one chose yesterday.

/// A machine type and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The cloud's own name.
    pub name: &'static str,
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in gibibytes.
    pub memory_gb: u32,
}

impl Machine {
    /// Whether it has at least so much.
    pub fn has(&self, vcpu: u32, memory_gb: u32) -> bool {
        self.vcpu >= vcpu && self.memory_gb >= memory_gb
    }
}

const fn machine(name: &'static str, vcpu: u32, memory_gb: u32) -> Machine {
    Machine {
        name,
        vcpu,
        memory_gb,
    }
}

/// Azure: `D` (4 GiB for each vCPU), `E` (8) and `F` (2), all with premium storage.
pub const AZURE: &[Machine] = &[
    machine("Standard_F2s_v2", 2, 4),
    machine("Standard_D2s_v5", 2, 8),
    machine("Standard_E2s_v5", 2, 16),
    machine("Standard_F4s_v2", 4, 8),
    machine("Standard_D4s_v5", 4, 16),
    machine("Standard_E4s_v5", 4, 32),
    machine("Standard_F8s_v2", 8, 16),
    machine("Standard_D8s_v5", 8, 32),
    machine("Standard_E8s_v5", 8, 64),
    machine("Standard_F16s_v2", 16, 32),
    machine("Standard_D16s_v5", 16, 64),
    machine("Standard_E16s_v5", 16, 128),
    machine("Standard_F32s_v2", 32, 64),
    machine("Standard_D32s_v5", 32, 128),
    machine("Standard_E32s_v5", 32, 256),
    machine("Standard_D48s_v5", 48, 192),
    machine("Standard_D64s_v5", 64, 256),
    machine("Standard_E64s_v5", 64, 512),
];

/// Google: N2, high-CPU (1 GiB for each vCPU), standard (4) and high-memory (8).
pub const GOOGLE: &[Machine] = &[
    machine("n2-highcpu-2", 2, 2),
    machine("n2-standard-2", 2, 8),
    machine("n2-highmem-2", 2, 16),
    machine("n2-highcpu-4", 4, 4),
    machine("n2-standard-4", 4, 16),
    machine("n2-highmem-4", 4, 32),
    machine("n2-highcpu-8", 8, 8),
    machine("n2-standard-8", 8, 32),
    machine("n2-highmem-8", 8, 64),
    machine("n2-highcpu-16", 16, 16),
    machine("n2-standard-16", 16, 64),
    machine("n2-highmem-16", 16, 128),
    machine("n2-highcpu-32", 32, 32),
    machine("n2-standard-32", 32, 128),
    machine("n2-highmem-32", 32, 256),
    machine("n2-standard-48", 48, 192),
    machine("n2-standard-64", 64, 256),
    machine("n2-highmem-64", 64, 512),
];

/// The smallest machine of `table` with at least `vcpu` and `memory_gb`.
pub fn smallest(table: &'static [Machine], vcpu: u32, memory_gb: u32) -> Option<&'static Machine> {
    table.iter().find(|machine| machine.has(vcpu, memory_gb))
}

/// The machine of that name, in whatever letters the cloud writes it.
pub fn named(table: &'static [Machine], name: &str) -> Option<&'static Machine> {
    table
        .iter()
        .find(|machine| machine.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_by_size_so_the_first_fit_is_the_smallest_and_the_last_has_all() {
        for table in [AZURE, GOOGLE] {
            assert!(table.is_sorted_by_key(|machine| (machine.vcpu, machine.memory_gb)));
            let largest = table.last().unwrap();
            assert!(table.iter().all(|it| largest.has(it.vcpu, it.memory_gb)));
        }
    }

    #[test]
    fn both_sizes_are_at_least_what_was_asked() {
        let chosen = |table, vcpu, memory| smallest(table, vcpu, memory).map(|found| found.name);
        assert_eq!(chosen(AZURE, 4, 16), Some("Standard_D4s_v5"));
        assert_eq!(chosen(AZURE, 8, 33), Some("Standard_E8s_v5"));
        assert_eq!(chosen(GOOGLE, 4, 16), Some("n2-standard-4"));
        assert_eq!(chosen(GOOGLE, 3, 6), Some("n2-standard-4"));
        assert_eq!(chosen(GOOGLE, 65, 8), None);
    }
}
