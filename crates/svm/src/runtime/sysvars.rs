//! The sysvars of one slot, as a new cluster would have them.

use super::accounts::{from_shared, pubkey};
use crate::{Account, Address};
use solana_account::{AccountSharedData, ReadableAccount, create_account_shared_data_with_fields};
use solana_clock::Clock;
use solana_epoch_rewards::EpochRewards;
use solana_epoch_schedule::EpochSchedule;
use solana_last_restart_slot::LastRestartSlot;
use solana_program_runtime::sysvar_cache::SysvarCache;
use solana_pubkey::Pubkey;
use solana_rent::Rent;
use solana_sdk_ids::sysvar;
use solana_slot_hashes::SlotHashes;
use std::sync::Arc;

/// Lamports of a sysvar account, as on a cluster, and its rent epoch.
const SYSVAR_FIELDS: (u64, u64) = (1, 0);

/// Size of the stake history account on a cluster; all zeroes is an empty history.
const STAKE_HISTORY_LEN: usize = 16_392;

/// What is the same in every slot.
pub(crate) struct Sysvars {
    cache: SysvarCache,
    accounts: Arc<[(Pubkey, AccountSharedData)]>,
    schedule: EpochSchedule,
}

/// What programs read in one slot.
pub(crate) struct SlotEnvironment {
    pub cache: SysvarCache,
    pub rent: Rent,
    clock: Clock,
    clock_account: AccountSharedData,
    /// So few that looking at all of them is faster than hashing.
    accounts: Arc<[(Pubkey, AccountSharedData)]>,
}

impl Sysvars {
    pub fn new() -> Self {
        let schedule = EpochSchedule::without_warmup();
        let accounts = [
            (sysvar::rent::ID, create_account_shared_data_with_fields(&Rent::default(), SYSVAR_FIELDS)),
            (sysvar::epoch_schedule::ID, create_account_shared_data_with_fields(&schedule, SYSVAR_FIELDS)),
            (sysvar::epoch_rewards::ID, create_account_shared_data_with_fields(&EpochRewards::default(), SYSVAR_FIELDS)),
            (sysvar::slot_hashes::ID, create_account_shared_data_with_fields(&SlotHashes::default(), SYSVAR_FIELDS)),
            (sysvar::stake_history::ID, AccountSharedData::new(SYSVAR_FIELDS.0, STAKE_HISTORY_LEN, &sysvar::ID)),
            (sysvar::last_restart_slot::ID, create_account_shared_data_with_fields(&LastRestartSlot::default(), SYSVAR_FIELDS)),
        ];
        let mut cache = SysvarCache::default();
        cache.fill_missing_entries(|id, set| {
            if let Some((_, account)) = accounts.iter().find(|(key, _)| key == id) {
                set(account.data());
            }
        });
        Sysvars { cache, accounts: Arc::new(accounts), schedule }
    }

    pub fn at(&self, slot: u64, unix_timestamp: i64) -> SlotEnvironment {
        let epoch = self.schedule.get_epoch(slot);
        let slots_of_epoch = slot - self.schedule.get_first_slot_in_epoch(epoch);
        let clock = Clock {
            slot,
            // A slot is 400 ms unless the host says otherwise, so the epoch began as long ago as it has slots.
            epoch_start_timestamp: unix_timestamp.saturating_sub((slots_of_epoch * 400 / 1000) as i64),
            epoch,
            leader_schedule_epoch: self.schedule.get_leader_schedule_epoch(slot),
            unix_timestamp,
        };
        let clock_account = create_account_shared_data_with_fields(&clock, SYSVAR_FIELDS);
        let mut cache = self.cache.clone();
        cache.fill_missing_entries(|id, set| {
            if *id == sysvar::clock::ID {
                set(clock_account.data());
            }
        });
        SlotEnvironment { cache, rent: Rent::default(), clock, clock_account, accounts: self.accounts.clone() }
    }
}

impl SlotEnvironment {
    pub fn is_of(&self, slot: u64, unix_timestamp: i64) -> bool {
        (self.clock.slot, self.clock.unix_timestamp) == (slot, unix_timestamp)
    }

    pub fn get(&self, key: &Pubkey) -> Option<&AccountSharedData> {
        if *key == sysvar::clock::ID {
            return Some(&self.clock_account);
        }
        self.accounts.iter().find(|(other, _)| other == key).map(|(_, account)| account)
    }

    pub fn sysvar_account(&self, address: &Address) -> Option<Account> {
        self.get(&pubkey(address)).and_then(from_shared)
    }
}
