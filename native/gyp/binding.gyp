{
  # In a folder of its own: with a binding.gyp at its root, the package would be built by every package manager's own
  # idea of how, and twice by pnpm.
  'variables': {
    # They follow Node's own and win. An exclusion ('cflags!') would strike them out, too.
    'kernel_flags': ['-std=c++17', '-O3', '-ffp-contract=off', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-Wall', '-Wextra'],
    'host_flags': ['-std=c++17', '-O2', '-ffp-contract=off', '-fexceptions', '-fvisibility=hidden', '-Wall', '-Wextra'],
    'sources_of': '<(module_root_dir)/sources.mjs',
    'flags_of': '<(module_root_dir)/instruction-sets.mjs',
    'cuda_of': '<(module_root_dir)/cuda.mjs',
    'has_nvcc%': '<!(node <(cuda_of) probe)',
    'emulation_sources': ['<!@(node <(sources_of) emulation)'],
  },
  'target_defaults': {
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'GCC_OPTIMIZATION_LEVEL': '3',
    },
  },
  'targets': [
    {
      'target_name': 'kernels',
      'type': 'static_library',
      'sources': ['<!@(node <(sources_of) kernels)'],
      'cflags_cc': ['<@(kernel_flags)'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)']},
    },
    {
      # Instruction sets beyond the base are asked for file by file; which is taken is decided at run time. Where the
      # architecture is another, or the compiler does not know them, a file gives an empty table.
      'target_name': 'kernels_avx2',
      'type': 'static_library',
      'sources': ['<!@(node <(sources_of) avx2)'],
      'cflags_cc': ['<@(kernel_flags)', '<!@(node <(flags_of) avx2 <(target_arch))'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)', '<!@(node <(flags_of) avx2 <(target_arch))']},
    },
    {
      'target_name': 'kernels_avx512',
      'type': 'static_library',
      'sources': ['<!@(node <(sources_of) avx512)'],
      'cflags_cc': ['<@(kernel_flags)', '<!@(node <(flags_of) avx512 <(target_arch))'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)', '<!@(node <(flags_of) avx512 <(target_arch))']},
    },
    {
      'target_name': 'kernels_dotprod',
      'type': 'static_library',
      'sources': ['<!@(node <(sources_of) dotprod)'],
      'cflags_cc': ['<@(kernel_flags)', '<!@(node <(flags_of) dotprod <(target_arch))'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)', '<!@(node <(flags_of) dotprod <(target_arch))']},
    },
    {
      # A library, because targets that compile the same file write the same object.
      'target_name': 'shared_runtime',
      'type': 'static_library',
      'sources': ['<!@(node <(sources_of) shared-runtime)'],
      'cflags_cc': ['<@(host_flags)'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(host_flags)']},
    },
    {
      'target_name': 'hass',
      'dependencies': ['shared_runtime', 'kernels', 'kernels_avx2', 'kernels_avx512', 'kernels_dotprod'],
      'sources': ['<!@(node <(sources_of) addon)'],
      'cflags_cc': ['<@(host_flags)'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(host_flags)']},
    },
  ],
  'conditions': [
    ['has_nvcc=="yes"', {
      'targets': [{
        'target_name': 'cuda',
        'type': 'none',
        'actions': [{
          'action_name': 'nvcc',
          'inputs': ['<!@(node <(sources_of) cuda)', '<(cuda_of)'],
          'outputs': ['<(PRODUCT_DIR)/hass_cuda.so'],
          'action': ['node', '<(cuda_of)', 'build', '<(PRODUCT_DIR)/hass_cuda.so'],
        }],
      }],
    }],
    # The same sources for tests without a GPU; the folder is not published.
    ['emulation_sources!=[]', {
      'targets': [{
        'target_name': 'hass_cuda_emulated',
        'type': 'loadable_module',
        'dependencies': ['shared_runtime', 'kernels'],
        'sources': ['<@(emulation_sources)'],
        'include_dirs': ['../emulation'],
        'cflags_cc': ['<@(host_flags)', '-Wno-unknown-pragmas'],
        'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(host_flags)', '-Wno-unknown-pragmas']},
      }],
    }],
  ],
}
