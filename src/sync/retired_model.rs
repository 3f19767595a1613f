//! What a model retires: each piece by itself, as early as can be. Nothing waits for others.

use super::reclaim::pin;

/// # Safety
///
/// As without a model.
pub(crate) unsafe fn retire(ptr: *mut (), free: unsafe fn(*mut ())) {
    // SAFETY: forwarded.
    unsafe { pin().retire(ptr, free) };
}
