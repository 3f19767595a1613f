//! What is to be done around a `fork`: the C library's hooks, where it has them.
//!
//! They run on the thread that forks. They do not where a child comes about by other means: by the bare system call, by
//! `_Fork`, or by `posix_spawn`, whose child becomes another program.

/// Has `before` called by whoever is about to fork, and afterwards `parent` or `child`, each in its process. There is
/// no taking back.
#[allow(unused_variables, reason = "where there are no hooks")]
pub(crate) fn around_forks(before: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    #[cfg(all(
        any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "dragonfly",
            target_os = "illumos",
            target_os = "solaris"
        ),
        not(miri)
    ))]
    {
        type Hook = Option<extern "C" fn()>;
        unsafe extern "C" {
            fn pthread_atfork(before: Hook, parent: Hook, child: Hook) -> std::ffi::c_int;
        }
        // It fails for lack of memory only: then all is as where there are no hooks.
        // SAFETY: these may be called on any thread, at any time.
        let _ = unsafe { pthread_atfork(Some(before), Some(parent), Some(child)) };
    }
}
