# SPDX-License-Identifier: Apache-2.0
# One set of warnings for the whole tree; every warning is an error, unless a compiler we do not know builds it.
add_compile_options(
    -Wall -Wextra $<$<BOOL:${LEDGE_WERROR}>:-Werror> -Wshadow -Wundef -Wvla -Wwrite-strings -Wpointer-arith
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wold-style-definition>
    # Out-parameters are untouched on failure; gcc's guess across such calls is wrong more often than right. clang's
    # exact -Wuninitialized (preset fuzz) stays on.
    $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    # A loop that clang does not unroll is slower, not wrong.
    $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>
    -fno-common -fstack-protector-strong -ffp-contract=off -fno-math-errno)
if(CMAKE_BUILD_TYPE MATCHES "^Rel")
    add_compile_options(-D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections)
    # Loops stay aligned; functions and the labels of branches gain nothing by it but padding.
    add_compile_options($<$<C_COMPILER_ID:GNU>:-falign-functions=1> $<$<C_COMPILER_ID:GNU>:-falign-jumps=1>
        $<$<C_COMPILER_ID:GNU>:-falign-labels=1>)
    add_link_options(-Wl,--gc-sections -Wl,-z,relro -Wl,-z,now)
endif()
# Of code that is not in the way of speed.
include(CheckCCompilerFlag)
check_c_compiler_flag(-Oz LEDGE_HAS_OZ)
set(LEDGE_SMALL -Os)
if(LEDGE_HAS_OZ)
    set(LEDGE_SMALL -Oz)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # gcc 12 -Oz leaves 2 % on the table: values kept around calls, two-part epilogues
    list(APPEND LEDGE_SMALL -fno-caller-saves -fno-move-loop-invariants -fno-tree-coalesce-vars -fno-optimize-sibling-calls)
endif()
# Of code that runs once for each model: loops there are short, and values kept beside them only fill registers.
set(LEDGE_ONCE ${LEDGE_SMALL})
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND LEDGE_ONCE -fno-tree-loop-im -fno-tree-fre -fno-gcse -fno-ira-hoist-pressure)
    # What stands more than 127 bytes into a stack frame takes four bytes to name: functions that make a frame larger stay apart.
    check_c_compiler_flag(--param=large-stack-frame-growth=50 LEDGE_HAS_STACK_GROWTH)
    if(LEDGE_HAS_STACK_GROWTH)
        list(APPEND LEDGE_ONCE --param=large-stack-frame=112 --param=large-stack-frame-growth=50)
    endif()
endif()
# Of hot loops. gcc: what -O3 adds for speed (vectors, short loops unrolled whole) without the copies of loops and of their
# ends for cases that do not matter here: the library is a tenth smaller and as fast.
set(LEDGE_LOOPS -O3)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(LEDGE_LOOPS -O2 -ftree-loop-vectorize -fvect-cost-model=dynamic -fpeel-loops)
    check_c_compiler_flag(--param=vect-epilogues-nomask=0 LEDGE_HAS_PLAIN_ENDS)
    if(LEDGE_HAS_PLAIN_ENDS)
        list(APPEND LEDGE_LOOPS --param=vect-epilogues-nomask=0)
    endif()
endif()
if(LEDGE_SANITIZE)
    add_compile_options(-fsanitize=${LEDGE_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${LEDGE_SANITIZE})
    if(LEDGE_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
    if(CMAKE_BUILD_TYPE STREQUAL "Debug")
        add_compile_options(-O1)
    endif()
endif()
if(LEDGE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
