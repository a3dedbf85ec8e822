create table goods (id int);
