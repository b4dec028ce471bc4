//! The C library's heap as a Rust allocator, for programs without std.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr;

/// What `malloc` guarantees on every 64-bit Linux: the alignment of C's `max_align_t`.
const MALLOC_ALIGN: usize = 16;

/// To be named in a program's `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap;

// SAFETY: malloc(3), realloc(3) and posix_memalign(3) return blocks of at least the size asked for, that belong to the
// caller until free(3), or null; blocks are aligned to MALLOC_ALIGN, or as posix_memalign was asked. None of them unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: malloc has no precondition; the caller promises a size that is not zero.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let mut block: *mut c_void = ptr::null_mut();
        // SAFETY: `block` is a place for one pointer; the alignment is a power of two (Layout) and, being more than 16,
        // a multiple of a pointer's size. On failure `block` stays null.
        match unsafe { libc::posix_memalign(&mut block, layout.align(), layout.size()) } {
            0 => block.cast(),
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller promises that the block came from this allocator, hence from malloc, realloc or
        // posix_memalign, all of which free(3) takes back.
        unsafe { libc::free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: the block came from malloc or realloc, as its alignment says, and the new size is not zero.
            return unsafe { libc::realloc(block.cast(), new_size) }.cast();
        }
        // SAFETY: the caller promises that the new size with this alignment is a valid layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the new size is not zero, as the caller promises.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks have at least as many bytes as are copied, and are different blocks.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
            // SAFETY: the old block came from this allocator and is not used again.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: usize, align: usize, new_size: usize) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: sizes are not zero; the block is written within its size, grown, read within the smaller of both
        // sizes and given back with the layout that it has then.
        unsafe {
            let block = Heap.alloc(layout);
            assert!(!block.is_null() && (block as usize).is_multiple_of(align));
            block.write_bytes(0x5a, size);
            let block = Heap.realloc(block, layout, new_size);
            assert!(!block.is_null() && (block as usize).is_multiple_of(align));
            for at in 0..size.min(new_size) {
                assert_eq!(*block.add(at), 0x5a);
            }
            Heap.dealloc(block, Layout::from_size_align(new_size, align).unwrap());
        }
    }

    #[test]
    fn blocks_are_aligned_and_keep_their_bytes_when_they_grow_or_shrink() {
        for align in [1, 8, 16, 32, 4096] {
            check(100, align, 10_000);
            check(10_000, align, 100);
        }
    }
}
