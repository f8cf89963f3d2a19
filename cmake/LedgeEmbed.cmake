# SPDX-License-Identifier: Apache-2.0
# ledge_embed_sql(TARGET DIRECTORY PREFIX): each DIRECTORY/<name>.sql becomes `const char PREFIX_<name>[]`, declared in
# the generated header "PREFIX.h". One statement a file (the schema apart), so that no SQL text is built at run time and
# the address of the text is the key of sys/sql.h's cache.
set(LEDGE_EMBED_SQL_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/EmbedSql.cmake)

function(ledge_embed_sql target directory prefix)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${prefix})
    file(GLOB files CONFIGURE_DEPENDS ${directory}/*.sql)
    add_custom_command(
        OUTPUT ${out}.c ${out}.h
        COMMAND ${CMAKE_COMMAND} -DDIRECTORY=${directory} -DPREFIX=${prefix} -DOUT=${out} -P ${LEDGE_EMBED_SQL_SCRIPT}
        DEPENDS ${files} ${LEDGE_EMBED_SQL_SCRIPT}
        COMMENT "Embedding the SQL of ${directory}")
    target_sources(${target} PRIVATE ${out}.c ${out}.h)
    target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
