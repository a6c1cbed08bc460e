//! Machine types: families, sizes, and where they are sold.

/// A machine type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Such as `n2-standard-8`.
    pub(crate) name: String,
    /// Virtual processors.
    pub(crate) cpus: u32,
    /// Memory.
    pub(crate) memory_mb: u32,
    /// The quota that counts its processors.
    pub(crate) quota: &'static str,
}

struct Family {
    name: &'static str,
    quota: &'static str,
    sizes: &'static [u32],
    shapes: &'static [(&'static str, u32)],
    absent_zones: &'static [&'static str],
}

const STANDARD: u32 = 4096;
const HIGH_MEMORY: u32 = 8192;
const HIGH_CPU: u32 = 1024;
const HIGH_CPU_NEW: u32 = 2048;

const FAMILIES: &[Family] = &[
    Family {
        name: "e2",
        quota: "CPUS",
        sizes: &[2, 4, 8, 16, 32],
        shapes: &[
            ("standard", STANDARD),
            ("highmem", HIGH_MEMORY),
            ("highcpu", HIGH_CPU),
        ],
        absent_zones: &[],
    },
    Family {
        name: "n1",
        quota: "CPUS",
        sizes: &[1, 2, 4, 8, 16, 32, 64, 96],
        shapes: &[("standard", 3840)],
        absent_zones: &[],
    },
    Family {
        name: "n2",
        quota: "N2_CPUS",
        sizes: &[2, 4, 8, 16, 32, 48, 64, 80],
        shapes: &[
            ("standard", STANDARD),
            ("highmem", HIGH_MEMORY),
            ("highcpu", HIGH_CPU),
        ],
        absent_zones: &[],
    },
    Family {
        name: "n2d",
        quota: "N2D_CPUS",
        sizes: &[2, 4, 8, 16, 32, 48, 64, 80],
        shapes: &[
            ("standard", STANDARD),
            ("highmem", HIGH_MEMORY),
            ("highcpu", HIGH_CPU),
        ],
        absent_zones: &["europe-west6-b", "us-west2-b"],
    },
    Family {
        name: "t2d",
        quota: "T2D_CPUS",
        sizes: &[1, 2, 4, 8, 16, 32, 48, 60],
        shapes: &[("standard", STANDARD)],
        absent_zones: &[
            "us-central1-f",
            "europe-north1-a",
            "us-west2-a",
            "us-west2-b",
            "us-west2-c",
        ],
    },
    Family {
        name: "c3",
        quota: "C3_CPUS",
        sizes: &[4, 8, 22, 44, 88, 176],
        shapes: &[
            ("standard", STANDARD),
            ("highmem", HIGH_MEMORY),
            ("highcpu", HIGH_CPU_NEW),
        ],
        absent_zones: &[
            "us-central1-f",
            "europe-north1-a",
            "europe-north1-b",
            "europe-north1-c",
            "europe-west6-a",
        ],
    },
    Family {
        name: "c4",
        quota: "C4_CPUS",
        sizes: &[2, 4, 8, 16, 32, 48, 96, 192],
        shapes: &[
            ("standard", 3840),
            ("highmem", 7936),
            ("highcpu", HIGH_CPU_NEW),
        ],
        absent_zones: &[
            "europe-north1-a",
            "europe-north1-b",
            "europe-north1-c",
            "europe-west6-a",
            "europe-west6-b",
            "europe-west6-c",
            "us-west2-a",
            "us-west2-b",
            "us-west2-c",
            "us-central1-f",
        ],
    },
    Family {
        name: "n4",
        quota: "N4_CPUS",
        sizes: &[2, 4, 8, 16, 32, 48, 64, 80],
        shapes: &[
            ("standard", STANDARD),
            ("highmem", HIGH_MEMORY),
            ("highcpu", HIGH_CPU_NEW),
        ],
        absent_zones: &[
            "us-central1-f",
            "europe-southwest1-b",
            "us-west2-a",
            "us-west2-b",
            "us-west2-c",
        ],
    },
    Family {
        name: "c2",
        quota: "C2_CPUS",
        sizes: &[4, 8, 16, 30, 60],
        shapes: &[("standard", STANDARD)],
        absent_zones: &[
            "europe-southwest1-a",
            "europe-southwest1-b",
            "europe-southwest1-c",
            "europe-west9-a",
        ],
    },
];

/// Machines that share their processors: name and memory.
const SHARED: [(&str, u32); 3] = [("e2-micro", 1024), ("e2-small", 2048), ("e2-medium", 4096)];

/// Every quota that counts processors, with the limit a region starts with.
pub(crate) const CPU_QUOTAS: &[(&str, u32)] = &[
    ("CPUS", 500),
    ("N2_CPUS", 500),
    ("N2D_CPUS", 500),
    ("T2D_CPUS", 500),
    ("C2_CPUS", 300),
    ("C3_CPUS", 300),
    ("C4_CPUS", 300),
    ("N4_CPUS", 300),
    ("PREEMPTIBLE_CPUS", 500),
];

/// The machine types of a zone, ordered by name.
pub(crate) fn machines_in(zone: &str) -> Vec<Machine> {
    let mut all: Vec<Machine> = SHARED
        .iter()
        .map(|(name, memory_mb)| Machine {
            name: (*name).into(),
            cpus: 2,
            memory_mb: *memory_mb,
            quota: "CPUS",
        })
        .collect();
    for family in FAMILIES
        .iter()
        .filter(|family| !family.absent_zones.contains(&zone))
    {
        for (shape, memory_per_cpu) in family.shapes {
            for cpus in family.sizes {
                all.push(Machine {
                    name: format!("{}-{shape}-{cpus}", family.name),
                    cpus: *cpus,
                    memory_mb: cpus * memory_per_cpu,
                    quota: family.quota,
                });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The machine type `name` in `zone`.
pub(crate) fn machine(zone: &str, name: &str) -> Option<Machine> {
    if let Some((_, memory_mb)) = SHARED.iter().find(|(shared, _)| *shared == name) {
        return Some(Machine {
            name: name.into(),
            cpus: 2,
            memory_mb: *memory_mb,
            quota: "CPUS",
        });
    }
    let mut parts = name.split('-');
    let (family, shape, cpus) = (parts.next()?, parts.next()?, parts.next()?);
    let family = FAMILIES
        .iter()
        .find(|known| known.name == family && !known.absent_zones.contains(&zone))?;
    let (_, memory_per_cpu) = family.shapes.iter().find(|(known, _)| *known == shape)?;
    let cpus = family
        .sizes
        .iter()
        .find(|size| size.to_string() == cpus)
        .filter(|_| parts.next().is_none())?;
    Some(Machine {
        name: name.into(),
        cpus: *cpus,
        memory_mb: cpus * memory_per_cpu,
        quota: family.quota,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_not_sold_everywhere() {
        assert!(machine("europe-west4-a", "c4-standard-8").is_some());
        assert!(machine("us-central1-f", "c4-standard-8").is_none());
    }

    #[test]
    fn what_a_zone_lists_is_found_by_name() {
        let zone = "europe-west4-a";
        for listed in machines_in(zone) {
            assert_eq!(machine(zone, &listed.name), Some(listed));
        }
    }

    #[test]
    fn eight_processors_and_thirty_two_gigabytes_are_n2_standard_8() {
        let machine = machine("europe-west1-b", "n2-standard-8").unwrap();
        assert_eq!((machine.cpus, machine.memory_mb), (8, 32768));
    }
}
