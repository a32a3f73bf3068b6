#include <locale.h>

void use(void)
{
    setlocale(LC_CTYPE, "");
    setlocale(LC_ALL, "");
}
