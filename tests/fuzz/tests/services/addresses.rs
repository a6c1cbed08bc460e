//! Addresses of webhooks, as merchants choose them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    panic::AssertUnwindSafe,
};

use bolero::check;
use paymesh_fuzz::{Choices, text};
use paymesh_payment_processor::webhooks::Webhooks;
use url::{Host, Url};

use crate::samples;

/// Where no webhook may go, from IANA's registries of special addresses: written down once more, and not
/// taken from the check.
const SPECIAL: [(&str, u32); 14] = [
    ("0.0.0.0", 8),
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.0.0.0", 24),
    ("192.0.2.0", 24),
    ("192.168.0.0", 16),
    ("198.18.0.0", 15),
    ("198.51.100.0", 24),
    ("203.0.113.0", 24),
    ("224.0.0.0", 4),
    ("240.0.0.0", 4),
];

/// The same of the addresses of version 6 that are handed out at all.
const SPECIAL_OF_SIX: [(&str, u32); 4] = [
    ("2001::", 23),
    ("2001:db8::", 32),
    ("2002::", 16),
    ("3fff::", 20),
];

/// The part of version 6 that is handed out.
const HANDED_OUT: (&str, u32) = ("2000::", 3);

/// The bits of an address, the first one highest.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn is_in(address: IpAddr, (network, length): (&str, u32)) -> bool {
    let network: IpAddr = network.parse().expect("a network is an address");
    let is_of_one_kind = network.is_ipv4() == address.is_ipv4();
    is_of_one_kind && (bits(network) ^ bits(address)).leading_zeros() >= length
}

fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => SPECIAL.iter().any(|network| is_in(address, *network)),
        address @ IpAddr::V6(_) => {
            !is_in(address, HANDED_OUT)
                || SPECIAL_OF_SIX
                    .iter()
                    .any(|network| is_in(address, *network))
        }
    }
}

/// An address at, before or behind the border of a network.
fn address(choices: &mut Choices<'_>) -> IpAddr {
    let networks = SPECIAL.iter().chain(&SPECIAL_OF_SIX).chain([&HANDED_OUT]);
    let networks: Vec<_> = networks.copied().collect();
    let (network, length) = *choices.one_of(&networks);
    let network: IpAddr = network.parse().expect("a network is an address");
    let near = u128::from(choices.byte());
    let size = match network {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let last = 1_u128.checked_shl(size - length).unwrap_or_default() - 1;
    let from = bits(network) >> (128 - size);
    let number = match choices.below(4) {
        0 => from.wrapping_add(near),
        1 => from.wrapping_sub(near + 1),
        2 => from.wrapping_add(last).wrapping_sub(near),
        _ => from.wrapping_add(last).wrapping_add(near + 1),
    };
    match network {
        IpAddr::V4(_) => {
            let [.., a, b, c, d] = number.to_be_bytes();
            let address = Ipv4Addr::new(a, b, c, d);
            if choices.is_one_in(4) {
                address.to_ipv6_mapped().into()
            } else {
                address.into()
            }
        }
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

/// A webhook goes to public addresses and to names by https, and nowhere else, however an address is
/// written.
#[test]
fn a_webhook() {
    samples::install_crypto();
    let webhooks = AssertUnwindSafe(Webhooks::new(false).expect("a sender can be made"));
    let words = [
        "https://shop.example/paymesh",
        "http://shop.example/paymesh",
        "https://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1:80/",
        "https://[::ffff:10.0.0.1]:8443/",
        "https://[2606:4700::1111]/",
        "https://user@1.1.1.1/",
        "mailto:shop@shop.example",
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let given = if choices.is_one_in(2) {
            text(&mut choices, &words)
        } else {
            match address(&mut choices) {
                IpAddr::V4(address) => format!("https://{address}/"),
                IpAddr::V6(address) => format!("https://[{address}]/"),
            }
        };
        let url = Url::parse(&given).ok();
        let may_be_called = url.is_some_and(|url| match url.host() {
            Some(Host::Ipv4(address)) => !is_special(address.into()),
            Some(Host::Ipv6(address)) => !is_special(address.into()),
            Some(Host::Domain(_)) => url.scheme() == "https",
            None => false,
        });
        assert_eq!(webhooks.may_call(&given), may_be_called, "{given:?}");
    });
}
