//! Memory of small objects, kept by the thread that gives it back for the next one that it makes.
//!
//! A context lives for a request or less, and the next one on the same thread wants the same memory: from here it costs a few
//! instructions, where an allocator takes a hundred. What comes from one thread and ends on another goes through the
//! allocator, in the end: a thread keeps no more than [`ROOM`] blocks of a size, 28 KiB in all, and they go with the thread.
//!
//! `--cfg ripcord_unpooled` leaves it all to the allocator, for tools that watch allocations to find errors in this crate;
//! so does `cargo fuzz`.

pub(crate) use imp::{bury, make};

#[cfg(not(feature = "loom"))]
mod imp {
    use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
    use std::cell::Cell;
    use std::marker::PhantomData;
    use std::ptr::{self, NonNull};

    /// Sizes are multiples of this, and so are addresses.
    const GRAIN: usize = 16;
    /// What is larger, or wants more alignment, goes to the allocator.
    const LARGEST: usize = 160;
    /// How many blocks of one size a thread keeps.
    const ROOM: u32 = 32;

    /// A block that nobody uses.
    struct Free {
        next: *mut Free,
    }

    /// The free blocks of one size.
    struct Shelf {
        first: Cell<*mut Free>,
        room: Cell<u32>,
    }

    impl Shelf {
        const fn new() -> Shelf {
            Shelf { first: Cell::new(ptr::null_mut()), room: Cell::new(ROOM) }
        }

        #[inline(always)]
        fn take(&self) -> *mut u8 {
            let first = self.first.get();
            if !first.is_null() {
                // SAFETY: on the shelf: a block of ours that holds a link.
                self.first.set(unsafe { (*first).next });
                self.room.set(self.room.get() + 1);
            }
            first.cast()
        }

        /// False: there is no room.
        ///
        /// # Safety
        ///
        /// `block` has this shelf's size, and is the caller's alone.
        #[inline(always)]
        unsafe fn put(&self, block: *mut u8) -> bool {
            let Some(room) = self.room.get().checked_sub(1) else { return false };
            let block = block.cast::<Free>();
            // SAFETY: forwarded; a block is large enough for a link, and aligned for it.
            unsafe { block.write(Free { next: self.first.get() }) };
            self.first.set(block);
            self.room.set(room);
            true
        }
    }

    struct Stock([Shelf; LARGEST / GRAIN]);

    impl Drop for Stock {
        fn drop(&mut self) {
            for (class, shelf) in self.0.iter().enumerate() {
                loop {
                    let block = shelf.take();
                    if block.is_null() {
                        break;
                    }
                    // SAFETY: allocated with the layout of its class.
                    unsafe { dealloc(block, layout_of(class)) };
                }
            }
        }
    }

    thread_local! {
        static STOCK: Stock = const { Stock([const { Shelf::new() }; LARGEST / GRAIN]) };
    }

    const fn layout_of(class: usize) -> Layout {
        match Layout::from_size_align((class + 1) * GRAIN, GRAIN) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        }
    }

    struct Of<T>(PhantomData<T>);

    impl<T> Of<T> {
        const KEPT: bool = !cfg!(any(ripcord_unpooled, fuzzing))
            && size_of::<T>() > 0
            && size_of::<T>() <= LARGEST
            && align_of::<T>() <= GRAIN;
        /// Its shelf, if it is kept.
        const CLASS: usize = if Self::KEPT { (size_of::<T>() - 1) / GRAIN } else { 0 };
        const LAYOUT: Layout = {
            let layout = layout_of(Self::CLASS);
            assert!(!Self::KEPT || (layout.size() >= size_of::<T>() && layout.align() >= align_of::<T>()), "too small");
            layout
        };
    }

    /// Puts a value into memory of its own.
    #[inline(always)]
    pub(crate) fn make<T>(value: T) -> NonNull<T> {
        if !Of::<T>::KEPT {
            return NonNull::from(Box::leak(Box::new(value)));
        }
        let kept = STOCK.try_with(|stock| stock.0[Of::<T>::CLASS].take()).unwrap_or(ptr::null_mut());
        let place = NonNull::new(kept).unwrap_or_else(|| fresh(Of::<T>::LAYOUT)).cast::<T>();
        // SAFETY: ours alone, of its class's size and alignment.
        unsafe { place.write(value) };
        place
    }

    #[cold]
    #[inline(never)]
    fn fresh(layout: Layout) -> NonNull<u8> {
        // SAFETY: no class has size 0.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// Ends a value, and gives its memory back.
    ///
    /// # Safety
    ///
    /// `ptr` came from [`make`], and nobody looks at it any more.
    #[inline(always)]
    pub(crate) unsafe fn bury<T>(ptr: *mut T) {
        if !Of::<T>::KEPT {
            // SAFETY: such a type is made in a box.
            return drop(unsafe { Box::from_raw(ptr) });
        }
        // SAFETY: forwarded.
        unsafe { ptr.drop_in_place() };
        // SAFETY: of this class, and ours alone.
        if !STOCK.try_with(|stock| unsafe { stock.0[Of::<T>::CLASS].put(ptr.cast()) }).unwrap_or(false) {
            discard(ptr.cast(), Of::<T>::LAYOUT);
        }
    }

    #[cold]
    #[inline(never)]
    fn discard(block: *mut u8, layout: Layout) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(block, layout) };
    }

    #[cfg(all(test, not(any(ripcord_unpooled, fuzzing))))]
    mod tests {
        use super::{LARGEST, ROOM, STOCK, bury, make};
        use std::collections::HashSet;

        /// Nothing else in this crate has this size, so no other test's thread-local state shows.
        type Odd = [u8; 90];

        #[test]
        fn a_block_is_used_again_by_its_thread() {
            let first = make::<Odd>([1; 90]);
            // SAFETY: made above.
            unsafe { bury(first.as_ptr()) };
            let second = make::<Odd>([2; 90]);
            assert_eq!(first, second);
            // SAFETY: made above.
            assert_eq!(unsafe { second.read() }, [2; 90]);
            // SAFETY: made above.
            unsafe { bury(second.as_ptr()) };
        }

        #[test]
        fn a_thread_keeps_no_more_than_its_room() {
            let blocks: Vec<_> = (0..=ROOM).map(|_| make::<Odd>([0; 90])).collect();
            let places: HashSet<_> = blocks.iter().collect();
            assert_eq!(places.len(), blocks.len());
            for block in blocks {
                // SAFETY: made above.
                unsafe { bury(block.as_ptr()) };
            }
            STOCK.with(|stock| assert_eq!(stock.0[(90 - 1) / 16].room.get(), 0));
        }

        #[test]
        fn what_is_too_large_or_wants_more_alignment_is_made_too() {
            #[repr(align(64))]
            struct Wide(u8);
            let (large, wide) = (make([7u8; LARGEST + 1]), make(Wide(8)));
            // SAFETY: made above.
            assert_eq!(unsafe { large.read() }, [7; LARGEST + 1]);
            assert!(wide.is_aligned());
            // SAFETY: made above.
            assert_eq!(unsafe { wide.as_ref() }.0, 8);
            // SAFETY: made above.
            unsafe { bury(large.as_ptr()) };
            // SAFETY: made above.
            unsafe { bury(wide.as_ptr()) };
        }
    }
}

/// In a model every object has memory of its own, until its run is over.
#[cfg(feature = "loom")]
mod imp {
    pub(crate) use crate::sync::reclaim::bury;
    use std::ptr::NonNull;

    pub(crate) fn make<T>(value: T) -> NonNull<T> {
        NonNull::from(Box::leak(Box::new(value)))
    }
}
