#include "fiber.h"

#include <cstdint>

#if defined(__x86_64__) && !defined(HASS_FIBERS_OF_UCONTEXT)

// What the System V ABI lets a callee keep; control words of the floating point units are the same in all fibers.
#if defined(__APPLE__)
#define HASS_SYMBOL "_hass_emulation_switch"
#else
#define HASS_SYMBOL "hass_emulation_switch"
#endif
asm(".text\n" HASS_SYMBOL
    ":\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq (%rsi), %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");

extern "C" __attribute__((visibility("hidden"))) void hass_emulation_switch(void **from, void *const *to);

namespace hass::emulation {

void make_fiber(Fiber *fiber, unsigned char *stack, std::size_t bytes, void (*entry)()) {
  auto top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) & ~std::uintptr_t(15);
  // Six saved registers, the entry's address at a multiple of 16, nothing to return to.
  auto *words = reinterpret_cast<std::uintptr_t *>(top - 64);
  for (int i = 0; i < 8; i++) words[i] = 0;
  words[6] = reinterpret_cast<std::uintptr_t>(entry);
  fiber->stack_pointer = words;
}

void switch_fiber(Fiber *from, Fiber *to) { hass_emulation_switch(&from->stack_pointer, &to->stack_pointer); }

}  // namespace hass::emulation

#else

namespace hass::emulation {

void make_fiber(Fiber *fiber, unsigned char *stack, std::size_t bytes, void (*entry)()) {
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = stack;
  fiber->context.uc_stack.ss_size = bytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, entry, 0);
}

void switch_fiber(Fiber *from, Fiber *to) { swapcontext(&from->context, &to->context); }

}  // namespace hass::emulation

#endif
