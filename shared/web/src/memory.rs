//! Memory for components: free pieces of a few sizes, in front of the allocator that the standard library brings.
//!
//! A request takes and gives back some hundred pieces of memory, nearly all of them small and of the same sizes as those of
//! the request before. Here each such piece is one step off a list and one step back onto it. It stays on its list: an instance
//! serves a bounded number of requests, and then all its memory goes at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Sizes are multiples of this.
const STEP: usize = 16;
/// How every piece is aligned: as whatever the allocator behind gives without being asked for more.
const ALIGN: usize = 8;
/// Larger pieces come from the allocator behind.
const LARGEST: usize = 1024;
const CLASSES: usize = LARGEST / STEP + 1;

/// The allocator of every component. It holds nothing itself, so that it need not be handed along wherever memory is taken.
struct Memory;

#[global_allocator]
static MEMORY: Memory = Memory;

/// The first free piece of each size; each holds where the next one is.
struct Free(UnsafeCell<[*mut u8; CLASSES]>);

static FREE: Free = Free(UnsafeCell::new([null_mut(); CLASSES]));

// SAFETY: a component has one thread.
unsafe impl Sync for Free {}

/// The list that a piece belongs to, if it belongs to one.
fn class(layout: &Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= ALIGN).then(|| layout.size().div_ceil(STEP))
}

// SAFETY: a piece comes from `System` with at least the size and alignment asked for, or from the list of its class, where only
// pieces are that were made for that class and given back. The class is told from the layout, which is the same both times.
unsafe impl GlobalAlloc for Memory {
    // Called, for it would otherwise be in the code wherever anything is kept.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(&layout) else { return unsafe { System.alloc(layout) } };
        unsafe {
            let first = &mut (*FREE.0.get())[class];
            if first.is_null() {
                return System.alloc(Layout::from_size_align_unchecked(class * STEP, ALIGN));
            }
            let piece = *first;
            *first = *piece.cast();
            piece
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some(class) = class(&layout) else { return unsafe { System.dealloc(piece, layout) } };
        unsafe {
            let first = &mut (*FREE.0.get())[class];
            *piece.cast() = *first;
            *first = piece;
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(&layout), class(&wanted)) {
            (None, None) => unsafe { System.realloc(piece, layout, size) },
            (one, other) if one == other => piece,
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(piece, layout.size().min(size));
                    self.dealloc(piece, layout);
                }
                moved
            },
        }
    }
}
