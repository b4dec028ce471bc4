//! A guest of 200 bytes for tests of a real QEMU: it says `ready`, then answers.
//!
//! Each byte from the serial port comes back, but for three: `q` switches the machine off, `x` writes 3 to the exit
//! device, `r` restarts. A byte from the keyboard is told as `k` and two hexadecimal digits, the power button as `P`
//! before the power goes. `OK` stands in the corner of a screen in text mode.

use nodeos_vm::probe::{ENTRY, pvh_kernel};

/// What the guest says first.
pub(crate) const GREETING: &str = "ready\r\n";

/// What QEMU ends with after `x`: see `nodeos_vm::probe::EXIT_CODE`.
pub(crate) const EXIT_CODE: i32 = 7;

/// The guest, as a file that QEMU boots.
pub(crate) fn kernel() -> Vec<u8> {
    let length = u32::try_from(instructions(0).len()).expect("it is small");
    let mut code = instructions(ENTRY + length);
    code.extend(GREETING.as_bytes());
    code.push(0);
    pvh_kernel(&code)
}

/// The machine code, with the address of the greeting. 32-bit protected mode; jumps are relative.
#[rustfmt::skip]
fn instructions(greeting: u32) -> Vec<u8> {
    let [a, b, c, d] = greeting.to_le_bytes();
    let code: &[&[u8]] = &[
        &[0xbc, 0x00, 0x00, 0x20, 0x00],       // 00        mov esp, 2 MiB
        // The text screen: white on blue.
        &[0xc7, 0x05, 0x00, 0x80, 0x0b, 0x00], // 05        mov dword [0xb8000], "O" 0x1f "K" 0x1f
        &[b'O', 0x1f, b'K', 0x1f],
        // The power button raises its bit in the status register only if it may (ACPI, PM1 enable register). The
        // greeting comes after it: it says that everything is ready.
        &[0xba, 0x02, 0x06, 0x00, 0x00],       // 0f        mov edx, 0x602
        &[0x66, 0xb8, 0x00, 0x01],             // 14        mov ax, 0x100
        &[0x66, 0xef],                         // 18        out dx, ax
        &[0xbe, a, b, c, d],                   // 1a        mov esi, greeting
        &[0xe8, 0x94, 0x00, 0x00, 0x00],       // 1f        call print
        // The serial port: has a byte arrived?
        &[0xba, 0xfd, 0x03, 0x00, 0x00],       // 24 poll:  mov edx, 0x3fd
        &[0xec],                               // 29        in al, dx
        &[0xa8, 0x01],                         // 2a        test al, 1
        &[0x74, 0x17],                         // 2c        jz keyboard
        &[0xba, 0xf8, 0x03, 0x00, 0x00],       // 2e        mov edx, 0x3f8
        &[0xec],                               // 33        in al, dx
        &[0x3c, b'q', 0x74, 0x2d],             // 34        cmp al, 'q'; je off
        &[0x3c, b'x', 0x74, 0x36],             // 38        cmp al, 'x'; je exit
        &[0x3c, b'r', 0x74, 0x3a],             // 3c        cmp al, 'r'; je reset
        &[0xe8, 0x5e, 0x00, 0x00, 0x00],       // 40        call put
        // The keyboard's controller: has a byte arrived?
        &[0xe4, 0x64],                         // 45 keyboard: in al, 0x64
        &[0xa8, 0x01],                         // 47        test al, 1
        &[0x74, 0x07],                         // 49        jz button
        &[0xe4, 0x60],                         // 4b        in al, 0x60
        &[0xe8, 0x32, 0x00, 0x00, 0x00],       // 4d        call hex
        // The power button's status bit.
        &[0xba, 0x00, 0x06, 0x00, 0x00],       // 52 button: mov edx, 0x600
        &[0x66, 0xed],                         // 57        in ax, dx
        &[0xf6, 0xc4, 0x01],                   // 59        test ah, 1
        &[0x74, 0xc6],                         // 5c        jz poll
        &[0xb0, b'P'],                         // 5e        mov al, 'P'
        &[0xe8, 0x3e, 0x00, 0x00, 0x00],       // 60        call put
        // Sleep state S5 in the PM1 control register: off.
        &[0xba, 0x04, 0x06, 0x00, 0x00],       // 65 off:   mov edx, 0x604
        &[0x66, 0xb8, 0x00, 0x20],             // 6a        mov ax, 0x2000
        &[0x66, 0xef],                         // 6e        out dx, ax
        &[0xeb, 0xfe],                         // 70 stop:  jmp stop
        &[0xba, 0x01, 0x05, 0x00, 0x00],       // 72 exit:  mov edx, 0x501
        &[0xb0, 0x03],                         // 77        mov al, 3
        &[0xee],                               // 79        out dx, al
        &[0xba, 0xf9, 0x0c, 0x00, 0x00],       // 7a reset: mov edx, 0xcf9
        &[0xb0, 0x06],                         // 7f        mov al, 6
        &[0xee],                               // 81        out dx, al
        &[0xeb, 0xec],                         // 82        jmp stop
        &[0x88, 0xc3],                         // 84 hex:   mov bl, al
        &[0xb0, b'k'],                         // 86        mov al, 'k'
        &[0xe8, 0x16, 0x00, 0x00, 0x00],       // 88        call put
        &[0x88, 0xd8],                         // 8d        mov al, bl
        &[0xc0, 0xe8, 0x04],                   // 8f        shr al, 4
        &[0xe8, 0x04, 0x00, 0x00, 0x00],       // 92        call digit
        &[0x88, 0xd8],                         // 97        mov al, bl
        &[0x24, 0x0f],                         // 99        and al, 15
        &[0x04, b'0'],                         // 9b digit: add al, '0'
        &[0x3c, b'9'],                         // 9d        cmp al, '9'
        &[0x76, 0x02],                         // 9f        jbe put
        &[0x04, b'a' - b'9' - 1],              // a1        add al, 'a' - '9' - 1
        &[0x88, 0xc1],                         // a3 put:   mov cl, al
        &[0xba, 0xfd, 0x03, 0x00, 0x00],       // a5        mov edx, 0x3fd
        &[0xec],                               // aa wait:  in al, dx
        &[0xa8, 0x20],                         // ab        test al, 0x20
        &[0x74, 0xfb],                         // ad        jz wait
        &[0xba, 0xf8, 0x03, 0x00, 0x00],       // af        mov edx, 0x3f8
        &[0x88, 0xc8],                         // b4        mov al, cl
        &[0xee],                               // b6        out dx, al
        &[0xc3],                               // b7        ret
        &[0xac],                               // b8 print: lodsb
        &[0x84, 0xc0],                         // b9        test al, al
        &[0x74, 0x07],                         // bb        jz done
        &[0xe8, 0xe1, 0xff, 0xff, 0xff],       // bd        call put
        &[0xeb, 0xf4],                         // c2        jmp print
        &[0xc3],                               // c4 done:  ret
    ];
    code.concat()
}
