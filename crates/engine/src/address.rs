//! A 32-byte account or program address.

use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::DefaultHashBuilder;
use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    str::FromStr,
};

/// An ed25519 public key or a program derived address; printed in base58, as everywhere on Solana.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Address(pub [u8; 32]);

impl Address {
    /// The system program, which is also the owner of every account that does not exist.
    pub const SYSTEM_PROGRAM: Address = Address([0; 32]);
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<[u8; 32]> for Address {
    fn from(bytes: [u8; 32]) -> Self {
        Address(bytes)
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0u8; 32];
        match bs58::decode(text).onto(&mut bytes) {
            Ok(32) => Ok(Address(bytes)),
            _ => Err("expected the base58 form of 32 bytes"),
        }
    }
}

/// Hashes addresses, in another way in every engine: whoever chooses addresses cannot choose their hashes.
#[derive(Clone, Debug, Default)]
pub struct AddressHasher(DefaultHashBuilder);

impl AddressHasher {
    /// An address with its hash.
    #[inline]
    pub fn key(&self, address: Address) -> Keyed {
        let mut hasher = self.0.build_hasher();
        hasher.write(&address.0);
        Keyed { address, hash: hasher.finish() }
    }
}

/// An address that has been hashed; good for tables that share the [`AddressHasher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    address: Address,
    hash: u64,
}

impl Keyed {
    /// Which account.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Not the same in two engines.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
