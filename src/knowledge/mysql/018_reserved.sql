-- Nothing: the number was given away, and no file has it yet.
do 0;
