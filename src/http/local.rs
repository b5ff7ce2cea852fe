//! Which addresses are near.

use std::net::IpAddr;

/// Returns true if an address belongs to this machine or to a network that is not the Internet: RFC
/// 1918, RFC 3927, RFC 4193, RFC 4291 §2.5.6. A provider's NAT (RFC 6598) does not count: it is
/// full of strangers.
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}
