/* The C ABI of a backend: raw pointers, sizes, a status. The CPU backend is linked into the addon; a CUDA backend is a
 * shared library that exports hass_backend_entry. Nothing here knows of JavaScript, and no exception crosses.
 *
 * Threads: facts and isa_names may be called from anywhere. Of one device, create, write, read and destroy calls must
 * not overlap run calls that use the same buffers or program; run, measure and interrupt may overlap the rest. write_weight
 * belongs to those that overlap no other of them: it is called on the thread that calls run, and may use its threads.
 * A buffer outlives the programs that bind it, a device outlives its buffers and programs: the caller sees to that.
 */
#ifndef HASS_BACKEND_H
#define HASS_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HASS_BACKEND_ABI 2
#define HASS_MAX_THREADS 64
#define HASS_MAX_BYTES ((uint64_t)1 << 40)
#define HASS_ALIGNMENT 64
#define HASS_ABSENT INT64_MIN /* a detail that does not apply */

typedef enum hass_status {
  HASS_STATUS_OK = 0,
  HASS_STATUS_INVALID_ARGUMENT = 1,
  HASS_STATUS_DISPOSED = 2,
  HASS_STATUS_OUT_OF_MEMORY = 3,
  HASS_STATUS_INVALID_PROGRAM = 4,
  HASS_STATUS_INVALID_INPUT = 5,
  HASS_STATUS_TOO_LARGE = 6,
  HASS_STATUS_UNSUPPORTED = 7,
  HASS_STATUS_CANCELLED = 8,
  HASS_STATUS_INTERNAL = 9,
  HASS_STATUS_BUSY = 10,
} hass_status;

/* What a failure was about. A call that returns HASS_STATUS_OK leaves it alone. */
typedef struct hass_error {
  hass_status status;
  int64_t op, operand, tensor, index, value, limit, bytes;
  char message[256];
} hass_error;

typedef struct hass_device hass_device;
typedef struct hass_buffer hass_buffer;
typedef struct hass_program hass_program;

typedef struct hass_device_facts {
  const char *isa;
  int32_t threads;
  uint64_t memory_bytes; /* held by its buffers and programs */
  /* Of a GPU; NULL and 0 of all else. */
  const char *name;
  int32_t driver;         /* the newest CUDA that its driver has, such as 13000 for 13.0 */
  uint64_t gpu_bytes;     /* of its own memory, used or not */
} hass_device_facts;

typedef struct hass_rates {
  double read_gbs;    /* 10^9 bytes a second from main memory */
  double int8_gmacs;  /* 10^9 multiply-accumulates a second, packed 8-bit weights */
  double q4_gmacs;    /* the same, packed 4-bit weights */
  double fp32_gmacs;  /* the same, float32 weights and activations */
  double dispatch_us; /* one empty parallel region */
} hass_rates;

typedef struct hass_buffer_facts {
  uint64_t bytes;
  int32_t dtype, rows, columns; /* enum hass_dtype; -1, 0, 0 for plain buffers */
} hass_buffer_facts;

typedef struct hass_program_facts {
  uint64_t parameter_bytes, arena_bytes;
  int32_t num_dims, num_tensors;
} hass_program_facts;

/* What the file bytes given to write_weight are. */
typedef enum hass_format {
  HASS_FORMAT_F32 = 0,
  HASS_FORMAT_F16 = 1,
  HASS_FORMAT_BF16 = 2,
  HASS_FORMAT_Q4_0 = 3,
  HASS_FORMAT_Q4_1 = 4,
  HASS_FORMAT_Q8_0 = 5,
  HASS_FORMAT_Q4_K = 6,
  HASS_FORMAT_F8_128 = 7, /* blocks of 128: a float32 scale, then 128 e4m3 codes */
} hass_format;

typedef struct hass_backend {
  uint32_t abi; /* HASS_BACKEND_ABI */
  const char *name;

  /* Instruction sets (or architectures) of this build that this machine has, best last. Returns their number. */
  int32_t (*isa_names)(const char **names, int32_t capacity);
  /* isa: "auto" or one of the names. The thread that calls run is one of `threads`. */
  hass_status (*create_device)(const char *isa, int32_t threads, hass_device **device, hass_error *error);
  void (*destroy_device)(hass_device *device);
  void (*device_facts)(const hass_device *device, hass_device_facts *facts);
  hass_status (*measure)(hass_device *device, hass_rates *rates, hass_error *error);
  /* While set, kernels skip what is left of their work and run returns HASS_STATUS_CANCELLED. */
  void (*interrupt)(hass_device *device, int32_t is_interrupted);

  hass_status (*create_buffer)(hass_device *device, uint64_t bytes, hass_buffer **buffer, hass_error *error);
  hass_status (*create_weight)(hass_device *device, int32_t dtype, int32_t rows, int32_t columns, hass_buffer **buffer,
                               hass_error *error);
  void (*destroy_buffer)(hass_buffer *buffer);
  void (*buffer_facts)(const hass_buffer *buffer, hass_buffer_facts *facts);
  hass_status (*write_buffer)(hass_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes,
                              hass_error *error);
  hass_status (*read_buffer)(const hass_buffer *buffer, uint64_t offset, void *target, uint64_t bytes,
                             hass_error *error);
  hass_status (*write_weight)(hass_buffer *buffer, int32_t format, int32_t first_row, int32_t num_rows,
                              const void *source, uint64_t bytes, hass_error *error);

  /* bindings: [num_bindings], a buffer for each weight and state tensor, NULL for the others. Words are copied. */
  hass_status (*create_program)(hass_device *device, const int32_t *words, size_t num_words,
                                hass_buffer *const *bindings, size_t num_bindings, hass_program **program,
                                hass_error *error);
  void (*destroy_program)(hass_program *program);
  void (*program_facts)(const hass_program *program, hass_program_facts *facts);
  /* Byte offset of an input in the parameters, -1 if the tensor is none. */
  int64_t (*input_offset)(const hass_program *program, int32_t tensor);
  /* dims: [num_dims], checked. Bytes that the bound dimensions cover of an input. */
  hass_status (*check_dims)(const hass_program *program, const int32_t *dims, size_t num_dims, hass_error *error);
  uint64_t (*input_bytes)(const hass_program *program, int32_t tensor, const int32_t *dims);
  /* parameters: [parameter_bytes], 64-byte aligned, untouched until the call returns; `cancelled` is read, atomically,
   * between operations. Checks the dimensions again. */
  hass_status (*run)(hass_program *program, const int32_t *dims, size_t num_dims, const void *parameters,
                     const int32_t *cancelled, hass_error *error);
  hass_status (*read_output)(const hass_program *program, int32_t tensor, uint64_t first_element, void *target,
                             uint64_t bytes, hass_error *error);
} hass_backend;

const hass_backend *hass_cpu_backend(void);

/* A backend in a shared library of its own exports this function under the name hass_backend_entry. */
typedef const hass_backend *(*hass_backend_entry_function)(void);

/* For tests: the countdown-th allocation from now fails, once; 0 turns it off. Of the whole process. */
void hass_fail_allocation(int64_t countdown);

#ifdef __cplusplus
}
#endif
#endif
