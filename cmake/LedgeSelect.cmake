# SPDX-License-Identifier: Apache-2.0
# LEDGE_OPS: a build that has only what some models need. A list of
#
#   model files   any that Ledge reads; a `ledge` program that runs here (LEDGE_HOST_LEDGE, else one on the path or in
#                 build/release) says what they need: `ledge check --needs MODEL`
#   words         Conv, tfl.Conv2D, com.microsoft.QLinearAdd: operators;  pass:qdq: a pass of plan/passes.c;
#                 import:onnx, import:tflite: readers beside that of .ledge;  part:custom: operators of the caller's own;
#                 other part: and kernel: words are what planning chose for a model; naming an operator brings all of them
#
# becomes ledge_selection.h, which src/engine/port/select.h reads. Only .ledge files can be opened unless a reader is named.
#
# LEDGE_PACKED: only .ledge files that hold what planning and packing made of them for this library's instruction sets (ledge
# convert, of the same release), so neither passes nor packing are needed.
if(LEDGE_OPS)
    if(NOT LEDGE_LIBRARY_ONLY)
        message(FATAL_ERROR "LEDGE_OPS needs LEDGE_LIBRARY_ONLY: the programs and tests want every operator")
    endif()
    string(REPLACE "," ";" wanted "${LEDGE_OPS}")
    # What is kept for an operator that somebody names, since no model tells more of it.
    set(every_choice part:late part:types kernel:binary_i8 kernel:conv_i8_direct kernel:gemm_i8_direct kernel:lookup
        kernel:QLinearAdd kernel:QLinearGlobalAveragePool kernel:QuantizeLinear
        kernel:taps_any kernel:taps_parts kernel:taps_far kernel:taps_5)
    string(REPLACE ";" "," targets "${LEDGE_RUNGS}")
    if(NOT LEDGE_BASELINE)
        set(targets c,${targets})
    endif()
    string(REPLACE "," ";" targets_list "${targets}")
    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        set(targets c) # no plan for it here
    endif()
    set(words)
    foreach(item ${wanted})
        get_filename_component(path ${item} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
        if(NOT EXISTS ${path} OR IS_DIRECTORY ${path})
            if(item MATCHES "[/\\]|\\.(ledge|onnx|tflite)$")
                message(FATAL_ERROR "LEDGE_OPS: there is no file ${path}")
            endif()
            list(APPEND words ${item})
            if(NOT item MATCHES ":")
                list(APPEND words ${every_choice})
            endif()
            continue()
        endif()
        if(NOT LEDGE_HOST_LEDGE)
            find_program(LEDGE_FOUND ledge PATHS ${CMAKE_SOURCE_DIR}/build/release/bin)
            set(LEDGE_HOST_LEDGE ${LEDGE_FOUND})
        endif()
        if(NOT EXISTS "${LEDGE_HOST_LEDGE}")
            message(FATAL_ERROR "LEDGE_OPS: give -DLEDGE_HOST_LEDGE=path of a `ledge` program that runs here")
        endif()
        execute_process(COMMAND ${LEDGE_HOST_LEDGE} check --needs ${path} --target ${targets} OUTPUT_VARIABLE needs ERROR_VARIABLE why
                        RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
        if(failed)
            message(FATAL_ERROR "LEDGE_OPS: ${path}: ${why}")
        endif()
        string(REPLACE "\n" ";" needs "${needs}")
        foreach(rung ${targets_list})
            if(LEDGE_PACKED AND NOT "packed:${rung}" IN_LIST needs)
                message(FATAL_ERROR "LEDGE_PACKED: ${path} is not packed for ${rung}: "
                        "ledge convert MODEL -o FILE.ledge --target ${rung} ..., of this release")
            endif()
        endforeach()
        list(FILTER needs EXCLUDE REGEX "^packed:")
        if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
            list(APPEND words ${every_choice})
        endif()
        list(APPEND words ${needs})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    endforeach()
    set(lines)
    if(NOT LEDGE_PACKED)
        list(APPEND words part:original)
        if("com.microsoft.QLinearAdd" IN_LIST words OR "QLinearAdd" IN_LIST words)
            list(APPEND words part:sums)
        endif()
    endif()
    if(NOT "part:custom" IN_LIST words)
        set(LEDGE_WITHOUT_CUSTOM ON)
    endif()
    foreach(word ${words})
        if(word MATCHES "^kernel:([A-Za-z0-9_]+)$")
            set(name KERNEL_${CMAKE_MATCH_1})
        elseif(word MATCHES "^(pass|import|part):([a-z_]+)$")
            string(TOUPPER "${CMAKE_MATCH_1}_${CMAKE_MATCH_2}" name)
        elseif(word MATCHES "^tfl\\.([A-Za-z0-9]+)$")
            set(name OP_tfl_${CMAKE_MATCH_1})
            list(APPEND lines "#define LEDGE_PART_FIXED 1\n")
        elseif(word MATCHES "^([a-z.]+\\.)?([A-Za-z0-9]+)$")
            set(name OP_${CMAKE_MATCH_2})
        else()
            message(FATAL_ERROR "LEDGE_OPS: what is '${word}'?")
        endif()
        list(APPEND lines "#define LEDGE_${name} 1\n")
    endforeach()
    list(REMOVE_DUPLICATES lines)
    list(SORT lines)
    list(JOIN lines "" text)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/selection/ledge_selection.h CONTENT
         "/* Made by cmake/LedgeSelect.cmake of -DLEDGE_OPS. */\n${text}" @ONLY)
    include_directories(${CMAKE_BINARY_DIR}/selection)
    add_compile_definitions(LEDGE_SELECTED)
elseif(LEDGE_PACKED)
    message(FATAL_ERROR "LEDGE_PACKED goes with LEDGE_OPS")
endif()
