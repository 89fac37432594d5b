# cmake -DIN=file -DOUT=file.inc -P embed.cmake: a file as a C++ raw string.
file(READ "${IN}" text)
file(WRITE "${OUT}" "R\"==(${text})==\"\n")
