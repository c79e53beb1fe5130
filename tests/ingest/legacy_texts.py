"""Ordinary sentences in languages that were long written in eight bits, and the encodings they were written in."""

__all__ = ["ENCODINGS", "TEXTS"]

ENCODINGS = {
    "greek": ("cp1253", "iso8859-7"),
    "hebrew": ("cp1255", "iso8859-8"),
    "turkish": ("cp1254", "iso8859-9"),
    "polish": ("cp1250", "iso8859-2"),
    "czech": ("cp1250", "iso8859-2"),
    "hungarian": ("cp1250", "iso8859-2"),
    "russian": ("cp1251", "koi8-r", "cp866"),
    "ukrainian": ("cp1251",),
    "german": ("cp1252", "iso8859-1"),
    "french": ("cp1252", "iso8859-1"),
    "spanish": ("cp1252", "iso8859-1"),
    "swedish": ("cp1252", "iso8859-1"),
    "symbols": ("cp1252", "iso8859-1"),
}

TEXTS = {
    "greek": """Η άδεια ζητείται τουλάχιστον δύο εβδομάδες πριν από την ημέρα αναχώρησης.
Κάθε υπάλληλος δικαιούται είκοσι πέντε ημέρες άδειας τον χρόνο.
Τα έξοδα ταξιδίου καταβάλλονται μετά την υποβολή των αποδείξεων στο λογιστήριο.
Η αίθουσα συσκέψεων βρίσκεται στον τρίτο όροφο, δίπλα στη βιβλιοθήκη.
Σε περίπτωση πυρκαγιάς, εγκαταλείψτε αμέσως το κτίριο και μη χρησιμοποιείτε τον ανελκυστήρα.
Οι νέοι συνεργάτες λαμβάνουν υπολογιστή και κάρτα εισόδου την πρώτη ημέρα.
Η εγγύηση της συσκευής ισχύει για δύο χρόνια από την ημερομηνία αγοράς.
Ο κωδικός πρόσβασης πρέπει να αλλάζει κάθε τρεις μήνες.
Το εστιατόριο είναι ανοιχτό από τις δώδεκα έως τις τρεις το μεσημέρι.
Για ερωτήσεις σχετικά με τη μισθοδοσία απευθυνθείτε στο τμήμα προσωπικού.""",
    "hebrew": """יש להגיש בקשה לחופשה לפחות שבועיים לפני מועד היציאה.
כל עובד זכאי לעשרים וחמישה ימי חופשה בשנה.
הוצאות הנסיעה ישולמו לאחר הגשת הקבלות למחלקת הנהלת החשבונות.
חדר הישיבות נמצא בקומה השלישית, ליד הספרייה.
במקרה של שריפה יש לצאת מיד מהבניין ולא להשתמש במעלית.
עובדים חדשים מקבלים מחשב וכרטיס כניסה ביום הראשון.
האחריות על המכשיר תקפה לשנתיים מיום הקנייה.
יש להחליף את הסיסמה כל שלושה חודשים.
המסעדה פתוחה משתים עשרה עד שלוש בצהריים.
לשאלות בנושא שכר יש לפנות למחלקת כוח אדם.""",
    "turkish": """İzin talebi, ayrılış tarihinden en az iki hafta önce yapılmalıdır.
Her çalışan yılda yirmi beş gün izin hakkına sahiptir.
Yolculuk giderleri, makbuzlar muhasebeye teslim edildikten sonra ödenir.
Toplantı odası üçüncü katta, kütüphanenin yanındadır.
Yangın durumunda binayı hemen terk edin ve asansörü kullanmayın.
Yeni çalışanlar ilk gün bilgisayar ve giriş kartı alır.
Cihazın garantisi satın alma tarihinden itibaren iki yıl geçerlidir.
Şifre üç ayda bir değiştirilmelidir.
Yemekhane öğlen on ikiden üçe kadar açıktır.
Maaşla ilgili sorularınız için insan kaynakları bölümüne başvurunuz.""",
    "polish": """Wniosek urlopowy należy złożyć co najmniej dwa tygodnie przed wyjazdem.
Każdemu pracownikowi przysługuje dwadzieścia pięć dni urlopu rocznie.
Koszty podróży są zwracane po złożeniu rachunków w księgowości.
Sala konferencyjna znajduje się na trzecim piętrze, obok biblioteki.
W razie pożaru należy natychmiast opuścić budynek i nie używać windy.
Nowi pracownicy otrzymują komputer i kartę wstępu pierwszego dnia.
Gwarancja na urządzenie jest ważna przez dwa lata od daty zakupu.
Hasło należy zmieniać co trzy miesiące.
Stołówka jest czynna od dwunastej do piętnastej.
W sprawach płac proszę zwracać się do działu kadr, który mieści się w głównym gmachu.""",
    "czech": """Žádost o dovolenou je třeba podat nejméně dva týdny před odjezdem.
Každý zaměstnanec má nárok na dvacet pět dnů dovolené ročně.
Cestovní náklady se hradí po předložení účtenek v účtárně.
Zasedací místnost se nachází ve třetím patře vedle knihovny.
V případě požáru ihned opusťte budovu a nepoužívejte výtah.
Noví zaměstnanci obdrží počítač a vstupní kartu první den.
Záruka na přístroj platí dva roky od data nákupu.
Heslo je nutné měnit každé tři měsíce.
Jídelna je otevřena od dvanácti do patnácti hodin.
S dotazy ohledně mezd se obraťte na personální oddělení.""",
    "hungarian": """A szabadságot legalább két héttel az indulás előtt kell kérni.
Minden munkatársat évente huszonöt nap szabadság illet meg.
Az útiköltséget a számlák benyújtása után térítik meg a könyvelésen.
A tárgyaló a harmadik emeleten van, a könyvtár mellett.
Tűz esetén azonnal hagyja el az épületet, és ne használja a felvonót.
Az új munkatársak az első napon számítógépet és belépőkártyát kapnak.
A készülék jótállása a vásárlástól számított két évig érvényes.
A jelszót háromhavonta meg kell változtatni.
Az étterem tizenkettőtől háromig tart nyitva.
A bérrel kapcsolatos kérdésekkel forduljon a személyügyi osztályhoz.""",
    "russian": """Заявление на отпуск подаётся не позднее чем за две недели до отъезда.
Каждому сотруднику полагается двадцать пять дней отпуска в год.
Дорожные расходы возмещаются после сдачи квитанций в бухгалтерию.
Переговорная находится на третьем этаже, рядом с библиотекой.
В случае пожара немедленно покиньте здание и не пользуйтесь лифтом.
Новые сотрудники получают компьютер и пропуск в первый день.
Гарантия на прибор действует два года со дня покупки.
Пароль следует менять каждые три месяца.
Столовая открыта с двенадцати до трёх часов дня.
По вопросам заработной платы обращайтесь в отдел кадров.""",
    "ukrainian": """Заяву на відпустку слід подати щонайменше за два тижні до від'їзду.
Кожному працівникові належить двадцять п'ять днів відпустки на рік.
Дорожні витрати відшкодовуються після подання квитанцій до бухгалтерії.
Кімната для нарад розташована на третьому поверсі, поруч із бібліотекою.
У разі пожежі негайно залиште будівлю і не користуйтеся ліфтом.
Нові працівники отримують комп'ютер і перепустку першого дня.
Гарантія на пристрій діє два роки від дня придбання.
Пароль потрібно змінювати кожні три місяці.
Їдальня відчинена з дванадцятої до третьої години.
З питаннями щодо зарплати звертайтеся до відділу кадрів.""",
    "german": """Der Urlaub ist spätestens zwei Wochen vor der Abreise zu beantragen.
Jedem Beschäftigten stehen fünfundzwanzig Tage Urlaub im Jahr zu.
Reisekosten werden nach Abgabe der Belege in der Buchhaltung erstattet.
Der Besprechungsraum liegt im dritten Stock neben der Bücherei.
Im Brandfall verlassen Sie sofort das Gebäude und benutzen nicht den Aufzug.
Neue Kollegen erhalten am ersten Tag einen Rechner und eine Schlüsselkarte.
Die Gewährleistung für das Gerät gilt zwei Jahre ab dem Kaufdatum.
Das Kennwort muss alle drei Monate geändert werden.
Die Kantine ist von zwölf bis fünfzehn Uhr geöffnet.
Bei Fragen zum Gehalt wenden Sie sich an die Personalabteilung, Müllerstraße 5.""",
    "french": """Les congés doivent être demandés au moins deux semaines avant le départ.
Chaque employé a droit à vingt-cinq jours de congé par an.
Les frais de déplacement sont remboursés après remise des reçus à la comptabilité.
La salle de réunion se trouve au troisième étage, à côté de la bibliothèque.
En cas d'incendie, quittez immédiatement le bâtiment et n'utilisez pas l'ascenseur.
Les nouveaux employés reçoivent un ordinateur et une carte d'accès le premier jour.
L'appareil est garanti pendant deux années à compter de la date d'achat.
Le mot de passe doit être changé tous les trois mois.
Le réfectoire est ouvert de midi à quinze heures, sauf le samedi où il est fermé.
Pour toute question relative à la paie, adressez-vous au service du personnel, où l'on vous répondra.""",
    "spanish": """Las vacaciones deben solicitarse con una antelación mínima de dos semanas.
Cada empleado tiene derecho a veinticinco días de vacaciones al año.
Los gastos de viaje se reembolsan tras la entrega de los recibos en administración.
La sala de reuniones está en el tercer piso, junto a la biblioteca pequeña.
En caso de incendio, abandone el edificio inmediatamente; ¡no utilice nunca el ascensor!
Los nuevos compañeros reciben un ordenador y una tarjeta de acceso el primer día.
La garantía del aparato es válida durante dos años a partir de la fecha de compra.
La contraseña debe cambiarse cada tres meses; así será más segura.
¿Dónde está el comedor? Abre de doce a tres, también el sábado.
Para cualquier cuestión sobre la nómina, diríjase al departamento de personal.""",
    "swedish": """Semester ska sökas senast två veckor före avresan.
Varje anställd har rätt till tjugofem dagars semester per år.
Reseersättning betalas ut när kvittona har lämnats till ekonomiavdelningen.
Sammanträdesrummet ligger på tredje våningen, bredvid biblioteket.
Vid brand ska du genast lämna byggnaden och inte använda hissen.
Nya medarbetare får en dator och ett passerkort första dagen.
Garantin på apparaten gäller i två år från inköpsdagen.
Lösenordet måste bytas var tredje månad.
Matsalen är öppen från klockan tolv till klockan tre på dagen.
Frågor om lönen besvaras av personalavdelningen på fjärde våningen.""",
    "symbols": """The part is 25 mm ± 0.1 mm long and carries at most 3 kg.
Resistance is measured in µ units, here 40 µm at 20 °C.
The hall has an area of 120 m² and a volume of 480 m³.
Add ½ cup of water, then ¼ cup of oil, and stir for 3 minutes.
© 2004 Acme Ltd. All rights reserved, see § 12 of the contract.
The price is £ 12.50 or ¥ 2000, whichever is less.
Keep the cabinet at 4 °C ± 1 °C and never above 8 °C.
The beam deflects by 15 µm ± 2 µm over a length of 2 m.
Multiply 3 × 4 and divide by 2, which leaves 6 m² exactly.
Acme® is a mark of Acme Ltd. and may not be used without consent.""",
}
