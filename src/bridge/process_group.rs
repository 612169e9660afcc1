//! Processes that exchange tensors: libtorch's own c10d, with Gloo on the CPU and NCCL on GPUs.
//!
//! A [`Store`] is where processes find each other and leave short texts; one of them, or their launcher, holds it. A
//! [`ProcessGroup`] is what they exchange tensors by: every process calls the same functions in the same order. The C++ of
//! NCCL (`nccl.cpp`) is in the library for CUDA (`cuda_library`).

use std::ffi::{CString, c_char, c_int, c_void};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use tch::{Device, Tensor};

use super::calls::{Handle, Message, answer, handle};
use super::cuda_library;

/// What the C++ makes of a store.
type StorePointer = *mut c_void;

/// What the C++ makes of a group.
pub(super) type GroupPointer = *mut c_void;

unsafe extern "C" {
    fn signet_store_open(
        host: *const c_char,
        port: u16,
        serve: bool,
        patience: i64,
        store: *mut StorePointer,
    ) -> Message;
    fn signet_store_set(
        store: StorePointer,
        key: *const c_char,
        value: *const u8,
        length: usize,
    ) -> Message;
    fn signet_store_get(
        store: StorePointer,
        key: *const c_char,
        value: *mut *mut u8,
        length: *mut usize,
    ) -> Message;
    fn signet_store_close(store: StorePointer);
    fn signet_group_gloo(
        store: StorePointer,
        prefix: *const c_char,
        rank: c_int,
        world: c_int,
        address: *const c_char,
        interface: *const c_char,
        patience: i64,
        group: *mut GroupPointer,
    ) -> Message;
    fn signet_group_all_gather(
        group: GroupPointer,
        all: Handle,
        own: Handle,
        patience: i64,
    ) -> Message;
    fn signet_group_all_reduce(group: GroupPointer, x: Handle, patience: i64) -> Message;
    fn signet_group_broadcast(group: GroupPointer, x: Handle, patience: i64) -> Message;
    fn signet_group_leave(group: GroupPointer);
}

fn milliseconds(patience: Duration) -> i64 {
    patience.as_millis() as i64
}

/// A place for short texts under keys, common to some processes.
pub struct Store(StorePointer);

impl Store {
    /// The store at `host` and `port`, which this process is to `serve` on all its addresses, or joins.
    ///
    /// # Errors
    /// A port that is taken, or a store that is not there within `patience`.
    pub fn open(host: &str, port: u16, serve: bool, patience: Duration) -> Result<Store> {
        let host = CString::new(host)?;
        let mut store: StorePointer = std::ptr::null_mut();
        // SAFETY: writes a store, which `drop` closes, or answers with a message.
        answer(unsafe {
            signet_store_open(
                host.as_ptr(),
                port,
                serve,
                milliseconds(patience),
                &mut store,
            )
        })?;
        Ok(Store(store))
    }

    /// Puts `value` under `key`, in place of what was there.
    ///
    /// # Errors
    /// The process that holds the store is gone.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let key = CString::new(key)?;
        // SAFETY: the store is open, and the value as long as said.
        answer(unsafe { signet_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// What lies under `key`, if anybody has put something there.
    ///
    /// # Errors
    /// The process that holds the store is gone.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let key = CString::new(key)?;
        let (mut value, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: the store is open; what is written is memory of that length, got from `malloc`, and is freed once.
        unsafe {
            answer(signet_store_get(
                self.0,
                key.as_ptr(),
                &mut value,
                &mut length,
            ))?;
            if value.is_null() {
                return Ok(None);
            }
            let bytes = std::slice::from_raw_parts(value, length).to_vec();
            libc::free(value.cast());
            Ok(Some(String::from_utf8(bytes)?))
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: it is closed once.
        unsafe { signet_store_close(self.0) }
    }
}

/// The place of a process in a group.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What no other group of this store has.
    pub prefix: &'a str,
    /// From 0.
    pub rank: usize,
    /// The number of processes.
    pub world: usize,
}

/// The processes of a group, as one of them sees them.
pub struct ProcessGroup {
    group: GroupPointer,
    world: usize,
    /// Where tensors are exchanged.
    device: Device,
}

impl ProcessGroup {
    /// Joins a group of processes on CPUs. The others reach this one at `address`, or by the network `interface` if one is
    /// named.
    ///
    /// # Errors
    /// Processes that do not come within `patience`, or cannot be reached.
    pub fn gloo(
        store: &Store,
        place: Place,
        address: IpAddr,
        interface: Option<&str>,
        patience: Duration,
    ) -> Result<ProcessGroup> {
        let prefix = CString::new(place.prefix)?;
        let address = CString::new(address.to_string())?;
        let interface = CString::new(interface.unwrap_or_default())?;
        let mut group: GroupPointer = std::ptr::null_mut();
        // SAFETY: the store is open; writes a group, which `drop` leaves, or answers with a message.
        answer(unsafe {
            signet_group_gloo(
                store.0,
                prefix.as_ptr(),
                place.rank as c_int,
                place.world as c_int,
                address.as_ptr(),
                interface.as_ptr(),
                milliseconds(patience),
                &mut group,
            )
        })?;
        Ok(ProcessGroup {
            group,
            world: place.world,
            device: Device::Cpu,
        })
    }

    /// Joins a group of processes each of which has a GPU of its own, this one that with the number `gpu`.
    ///
    /// # Errors
    /// A library for CUDA that was not built, and as of [`ProcessGroup::gloo`].
    pub fn nccl(
        store: &Store,
        place: Place,
        gpu: usize,
        patience: Duration,
    ) -> Result<ProcessGroup> {
        let functions = cuda_library::functions()?;
        let prefix = CString::new(place.prefix)?;
        let mut group: GroupPointer = std::ptr::null_mut();
        // SAFETY: as above.
        answer(unsafe {
            (functions.group_nccl)(
                store.0,
                prefix.as_ptr(),
                place.rank as c_int,
                place.world as c_int,
                gpu as i64,
                milliseconds(patience),
                &mut group,
            )
        })?;
        Ok(ProcessGroup {
            group,
            world: place.world,
            device: Device::Cuda(gpu),
        })
    }

    /// The numbers of all processes, `[world, n]`, by rank; this one has `own`, `[n]`.
    ///
    /// # Errors
    /// A process that is gone, or does not come within `patience`.
    pub fn all_gather(&self, own: &Tensor, patience: Duration) -> Result<Tensor> {
        let size = [self.world as i64, own.size1()?];
        let here = own.to_device(self.device);
        let all = Tensor::empty(size, (own.kind(), self.device));
        // SAFETY: the group is open, and waits until both tensors are no longer needed.
        answer(unsafe {
            signet_group_all_gather(
                self.group,
                handle(&all),
                handle(&here),
                milliseconds(patience),
            )
        })?;
        Ok(all.to_device(own.device()))
    }

    /// The sum of `own`, of any shape, over all processes. Its bits depend on their number.
    ///
    /// # Errors
    /// As of [`ProcessGroup::all_gather`].
    pub fn all_reduce(&self, own: &Tensor, patience: Duration) -> Result<Tensor> {
        self.in_place(own, |x| {
            // SAFETY: as above.
            unsafe { signet_group_all_reduce(self.group, x, milliseconds(patience)) }
        })
    }

    /// What rank 0 has as `own`, which has the same shape in all processes.
    ///
    /// # Errors
    /// As of [`ProcessGroup::all_gather`].
    pub fn broadcast(&self, own: &Tensor, patience: Duration) -> Result<Tensor> {
        self.in_place(own, |x| {
            // SAFETY: as above.
            unsafe { signet_group_broadcast(self.group, x, milliseconds(patience)) }
        })
    }

    /// What `exchange` makes of a copy of `own`.
    fn in_place(&self, own: &Tensor, exchange: impl FnOnce(Handle) -> Message) -> Result<Tensor> {
        let x = Tensor::empty(own.size(), (own.kind(), self.device));
        x.shallow_clone().copy_(own);
        answer(exchange(handle(&x)))?;
        Ok(x.to_device(own.device()))
    }
}

// SAFETY: whichever thread calls it, one at a time, as `&mut` and the lack of `Sync` have it.
unsafe impl Send for ProcessGroup {}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: it is left once.
        unsafe { signet_group_leave(self.group) }
    }
}
